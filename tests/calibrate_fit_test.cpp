#include <gtest/gtest.h>

#include <cmath>

#include <traincost/calibrate/cross_validate.hpp>
#include <traincost/calibrate/fit.hpp>
#include <traincost/units/error.hpp>

// Timings made from a known law on made-up chips: what was put in must come out, also on chips without timings.
namespace traincost::calibrate {
namespace {

using work::Dtype;

catalog::Chip chip(const std::string& id, const std::string& arch, double bf16, double bandwidth, double processors) {
  catalog::Chip c;
  c.id = id;
  c.arch = arch;
  c.memory_type = "HBM3";
  c.bf16_dense_flops = {bf16};
  c.memory_bytes_per_s = {bandwidth};
  c.sm_count = processors;
  c.source = "made up";
  return c;
}

const std::vector<catalog::Chip> kChips{chip("first", "One", 1e15, 3e12, 132), chip("second", "One", 0.5e15, 4e12, 96),
                                        chip("third", "One", 0.7e15, 3e12, 120),
                                        chip("other", "Two", 0.3e15, 2e12, 108), chip("bare", "Two", 0.4e15, 1e12, 64)};

const Trend kLaw{.launch_s = 4e-6,
                 .compute_efficiency = 0.8,
                 .memory_efficiency = 0.85,
                 .sharpness = 3,
                 .depth_half = 120,
                 .wave_share = 0.5,
                 .tile_loss = {0.1, 0.2, 0.3}};

double law(const work::Op& op, const catalog::Chip& c) {
  return seconds(kLaw, load(op, Dtype::bf16, figures(c, kind_of(op), Dtype::bf16), false));
}

// Like the tables: sizes that fill tiles and waves, and sizes between.
std::vector<work::Gemm> shapes() {
  std::vector<work::Gemm> out;
  for (double m0 = 16; m0 <= 16384; m0 *= 2)
    for (double m : {m0, 1.25 * m0, 1.5 * m0, 1.75 * m0})
      for (double n0 = 512; n0 <= 16384; n0 *= 2)
        for (double n : {n0, 1.5 * n0})
          for (double k = 512; k <= 16384; k *= 4) out.push_back({m, n, k});
  return out;
}

std::vector<measure::Row> rows_of(const catalog::Chip& c) {
  std::vector<measure::Row> rows;
  for (const auto& g : shapes())
    for (const auto& [provider, factor] : {std::pair{"fast", 1.0}, std::pair{"slow", 1.1}})
      rows.push_back({.op = g, .chip = c.id, .provider = provider, .latency = {factor * law(g, c)}, .source = "law"});
  return rows;
}

std::vector<measure::Row> rows_of_two() {
  auto rows = rows_of(kChips[0]);
  for (auto& r : rows_of(kChips[1])) rows.push_back(std::move(r));
  return rows;
}

const Efficiency& fitted() {
  static const Efficiency kFitted = fit(rows_of_two(), kChips);
  return kFitted;
}

constexpr work::Gemm kUnseen[] = {{48, 3000, 700}, {1000, 1000, 1000}, {3000, 7168, 2048}, {12000, 12288, 5000}};

TEST(Fit, RecoversTheLawAtShapesItHasNotSeen) {
  for (const auto& g : kUnseen) {
    const auto t = fitted().on(kChips[0]).time(g, Dtype::bf16);
    EXPECT_NEAR(t.seconds.value / law(g, kChips[0]), 1, 0.01) << work::describe(g);
    EXPECT_EQ(t.origin, Origin::measured);
    EXPECT_NEAR(t.log_sigma, std::log(1.05), 0.02);  // half-way between the two providers is their median
  }
}

TEST(Fit, CarriesOverToASiblingAndToAForeignChip) {
  for (const auto& g : kUnseen)
    for (const auto& c : {kChips[2], kChips[3]}) {
      const auto t = fitted().on(c).time(g, Dtype::bf16);
      EXPECT_NEAR(t.seconds.value / law(g, c), 1, 0.02) << c.id << " " << work::describe(g);
      EXPECT_EQ(t.origin, Origin::transferred);
    }
}

TEST(Fit, WithoutAnyTimingOfTheKindTheDataSheetSpeaks) {
  const auto t = fitted().on(kChips[0]).time(work::Stream{.bytes = 3e9}, Dtype::bf16);
  EXPECT_EQ(t.origin, Origin::datasheet);
  EXPECT_GT(t.seconds.value, 1e-3);
  EXPECT_LT(t.seconds.value, 1.5e-3);
}

TEST(Fit, SaysWhichFigureIsMissing) {
  const auto efficiency = fitted().on(kChips[0]);
  try {
    (void)efficiency.time(work::Collective{.bytes = 1e6, .gpus = 8}, Dtype::bf16);
    FAIL() << "no link, yet a time";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "chip first: link_bytes_per_s is unknown, but the operation needs it");
  }
}

TEST(Fit, FallsBackToTheFormatTheChipHas) {
  const auto t = fitted().on(kChips[0]).time(kUnseen[2], Dtype::fp8);
  EXPECT_EQ(t.dtype_used, Dtype::bf16);
  EXPECT_EQ(t.seconds.value, fitted().on(kChips[0]).time(kUnseen[2], Dtype::bf16).seconds.value);
}

TEST(Fit, LeavesOutRowsOfUnknownChips) {
  auto rows = rows_of_two();
  for (auto& r : rows_of(kChips[0])) {
    r.chip = "nobody knows";
    r.is_resolved = false;
    r.latency = {1e-9};
    rows.push_back(std::move(r));
  }
  EXPECT_EQ(to_json(fit(rows, kChips)), to_json(fitted()));
}

catalog::Chip with_fp8(catalog::Chip c) {
  c.fp8_dense_flops = {2e15};
  return c;
}

constexpr double kCastPasses = 1.5;

// fp8 products, each behind a cast of its input in a kernel of its own.
std::vector<measure::Row> rows_with_casts(const catalog::Chip& c) {
  constexpr double kReadBf16WriteFp8 = 3;
  const auto f = figures(c, Kind::gemm, Dtype::fp8);
  std::vector<measure::Row> rows;
  for (const auto& g : shapes()) {
    const double cast = kLaw.launch_s + kCastPasses * kReadBf16WriteFp8 * g.m * g.k / f.bytes_per_s;
    rows.push_back({.op = g,
                    .dtype = Dtype::fp8,
                    .chip = c.id,
                    .provider = "p",
                    .latency = {seconds(kLaw, load(g, Dtype::fp8, f, false)) + cast},
                    .source = "law"});
  }
  return rows;
}

TEST(Fit, CastInsideAnFp8TimingIsNotPartOfTheProduct) {
  const auto c = with_fp8(kChips[0]);
  const auto f = figures(c, Kind::gemm, Dtype::fp8);
  const auto efficiency = fit(rows_with_casts(c), {c}).on(c);
  for (const auto& g : kUnseen)
    EXPECT_NEAR(efficiency.time(g, Dtype::fp8).seconds.value / seconds(kLaw, load(g, Dtype::fp8, f, false)), 1, 0.02)
        << work::describe(g);
}

TEST(Fit, CastInsideAnFp8TimingBeatsASlowKernelOfItsOwn) {
  const auto c = with_fp8(kChips[0]);
  auto rows = rows_with_casts(c);
  const auto bytes = [](const work::Quantize& q) { return work::bytes(q, Dtype::bf16).value; };
  for (double m = 1; m <= 1048576; m *= 2) {
    const work::Quantize q{.m = m, .k = 4096};
    rows.push_back({.op = q,
                    .chip = c.id,
                    .provider = "p",
                    .latency = {20e-6 + bytes(q) / (0.3 * c.memory_bytes_per_s->value)},
                    .source = "s"});
  }
  const auto efficiency = fit(rows, {c}).on(c);
  for (const double m : {16, 4096, 131072}) {
    const work::Quantize q{.m = m, .k = 4096};
    const double inside = kLaw.launch_s + kCastPasses * bytes(q) / c.memory_bytes_per_s->value;
    EXPECT_NEAR(efficiency.time(q, Dtype::bf16).seconds.value / inside, 1, 0.05) << m;
  }
}

TEST(Fit, BackwardFollowsThePublishedRatio) {
  measure::Published published;
  work::Attention a{.b = 1, .s_q = 4096, .s_kv = 4096, .h_q = 32, .h_kv = 8, .d_qk = 128, .d_v = 128};
  published.rows.push_back({.op = a, .chip = "first", .provider = "p", .latency = {1e-3}, .source = "s"});
  a.pass = work::Pass::backward;  // 2.5 times the FLOPs at 0.8 of the rate
  published.rows.push_back({.op = a, .chip = "first", .provider = "p", .latency = {1e-3 * 2.5 / 0.8}, .source = "s"});
  const auto efficiency = fit(rows_of_two(), kChips, published, {});
  const auto* ratio = find_ratio(efficiency.fitted(), kBackward, "One");
  ASSERT_NE(ratio, nullptr);
  EXPECT_NEAR(ratio->value, 0.8, 1e-9);
  EXPECT_EQ(find_ratio(efficiency.fitted(), kBackward, "Two")->arch, "");  // the pooled one
  auto forward = a;
  forward.pass = work::Pass::forward;
  const auto on = efficiency.on(kChips[0]);
  EXPECT_NEAR(on.time(a, Dtype::bf16).seconds / on.time(forward, Dtype::bf16).seconds, 2.5 / 0.8, 1e-9);
}

TEST(Fit, Fp8AttentionFollowsThePublishedKernels) {
  auto chips = kChips;
  for (auto& c : chips) c = with_fp8(c);
  const work::Attention a{.b = 1, .s_q = 4096, .s_kv = 4096, .h_q = 32, .h_kv = 8, .d_qk = 128, .d_v = 128};
  std::vector<measure::Row> rows;
  for (const auto dtype : {Dtype::bf16, Dtype::fp8})
    for (const double b : {1, 2, 4, 8, 16, 32}) {
      auto shape = a;
      shape.b = b;
      rows.push_back(
          {.op = shape, .dtype = dtype, .chip = "first", .provider = "p", .latency = {b * 1e-3}, .source = "s"});
    }
  const auto tables = fit(rows, chips).on(chips[0]);
  measure::Published published;
  const double fast = tables.time(a, Dtype::fp8).seconds.value / 1.4;
  published.rows.push_back(
      {.op = a, .dtype = Dtype::fp8, .chip = "first", .provider = "q", .latency = {fast}, .source = "s"});
  const auto on = fit(rows, chips, published, {}).on(chips[0]);
  EXPECT_NEAR(on.time(a, Dtype::fp8).seconds.value / fast, 1, 1e-6);
  EXPECT_DOUBLE_EQ(on.time(a, Dtype::bf16).seconds.value, tables.time(a, Dtype::bf16).seconds.value);
}

TEST(Fit, ScalesPerBlockOfAttentionAreARatioOfTheirOwn) {
  auto chips = kChips;
  for (auto& c : chips) c = with_fp8(c);
  const work::Attention a{.b = 1, .s_q = 4096, .s_kv = 4096, .h_q = 32, .h_kv = 8, .d_qk = 128, .d_v = 128};
  std::vector<measure::Row> rows;
  for (const double b : {1, 2, 4, 8, 16, 32}) {
    auto shape = a;
    shape.b = b;
    rows.push_back(
        {.op = shape, .dtype = Dtype::fp8, .chip = "first", .provider = "p", .latency = {b * 1e-3}, .source = "s"});
  }
  const double tables = fit(rows, chips).on(chips[0]).time(a, Dtype::fp8).seconds.value;
  measure::Published published;
  for (const auto& [dtype, factor] : {std::pair{Dtype::fp8, 1.4}, std::pair{Dtype::mxfp8, 1.1}})
    published.rows.push_back(
        {.op = a, .dtype = dtype, .chip = "first", .provider = "q", .latency = {tables / factor}, .source = "s"});
  const auto on = fit(rows, chips, published, {}).on(chips[0]);
  EXPECT_NEAR(tables / on.time(a, Dtype::fp8).seconds.value, 1.4, 1e-6);
  EXPECT_NEAR(tables / on.time(a, Dtype::mxfp8).seconds.value, 1.1, 1e-6);
}

TEST(Fit, AStreamOfTwoKernelsWaitsForTwoLaunches) {
  constexpr double kLaunch = 5e-6, kRate = 2.4e12;
  std::vector<measure::Row> rows;
  for (double bytes = 1e5; bytes < 1e10; bytes *= 3)
    for (const double kernels : {1, 2})
      rows.push_back({.op = work::Stream{.bytes = bytes, .kernels = kernels},
                      .chip = "first",
                      .provider = "p",
                      .latency = {kernels * kLaunch + bytes / kRate},
                      .source = "s"});
  const auto on = fit(rows, kChips).on(kChips[0]);
  for (const double kernels : {1, 2}) {
    const auto t = on.time(work::Stream{.bytes = 1e7, .kernels = kernels}, Dtype::bf16);
    EXPECT_NEAR(t.seconds.value, kernels * kLaunch + 1e7 / kRate, 1e-8) << kernels;
  }
}

TEST(Fit, ACastIsTimedByTheBestWhoPublishOne) {
  const auto timed = [](double m, double share) {
    const work::Quantize q{.m = m, .k = 4096};
    return measure::Row{.op = q,
                        .chip = "first",
                        .provider = "p",
                        .latency = {work::bytes(q, Dtype::bf16).value / (share * 3e12)},
                        .source = "s"};
  };
  std::vector<measure::Row> rows;
  for (double m = 1024; m <= 1048576; m *= 2) rows.push_back(timed(m, 0.5));
  const work::Quantize large{.m = 131072, .k = 4096};
  const double slow = fit(rows, kChips).on(kChips[0]).time(large, Dtype::bf16).seconds.value;
  measure::Published published;
  const auto after = [&] { return fit(rows, kChips, published, {}).on(kChips[0]).time(large, Dtype::bf16).seconds; };
  for (const double share : {0.75, 0.78, 0.8, 0.82}) published.rows.push_back(timed(131072, share));
  EXPECT_EQ(after().value, slow);  // four are too few
  published.rows.push_back(timed(131072, 0.85));
  EXPECT_NEAR(slow / after().value, 0.8 / 0.5, 0.01);
}

TEST(Json, RoundTripIsExact) {
  const auto text = to_json(fitted());
  const auto again = from_json(text, "f.json");
  EXPECT_EQ(to_json(again), text);
  const auto twice = from_json(to_json(again), "f.json");
  for (const auto& g : kUnseen)
    EXPECT_EQ(again.on(kChips[2]).time(g, Dtype::bf16).seconds.value,
              twice.on(kChips[2]).time(g, Dtype::bf16).seconds.value);
}

TEST(Json, RefusesTruncatedAndWrong) {
  const auto text = to_json(fitted());
  EXPECT_THROW(from_json(text.substr(0, text.size() / 2), "f.json"), InputError);
  EXPECT_THROW(from_json("{}", "f.json"), InputError);
  EXPECT_THROW(from_json("[1]", "f.json"), InputError);
  auto wrong = text;
  wrong.replace(wrong.find("\"kind\":\"gemm\""), 13, "\"kind\":\"gurk\"");
  EXPECT_THROW(from_json(wrong, "f.json"), InputError);
}

TEST(CrossValidation, SmallOnALawAndBlindToWhatIsHeldOut) {
  auto rows = rows_of_two();
  for (auto& r : rows)  // one weight shape runs at half speed: no neighbour can know
    if (const auto& g = std::get<work::Gemm>(r.op); g.n == 2048 && g.k == 8192) r.latency = r.latency * 2;
  const auto truths = merge(rows, kChips);
  const auto scores = leave_shapes_out(truths, kChips, {});
  ASSERT_EQ(scores.size(), 2U);
  for (const auto& s : scores) {
    EXPECT_LT(s.median, 0.03);
    EXPECT_GT(s.baseline_median, 0.1);
    EXPECT_EQ(s.shapes, shapes().size());
  }
  const auto by_chip = leave_chip_out(truths, kChips, {});
  ASSERT_EQ(by_chip.size(), 2U);
  EXPECT_EQ(by_chip[0].from, "sibling second");
  EXPECT_LT(by_chip[0].median, 0.05);
}

}  // namespace
}  // namespace traincost::calibrate
