#include <traincost/work/decode.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <kernels/gqa_decode/gqa_decode.hpp>
#include <tests/kernels/decode_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::gqa_decode {
namespace {

INSTANTIATE_TEST_SUITE_P(GqaDecode, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct DecodeShape {
  int s_q, h_q, h_kv;
  std::vector<int> lengths;
  bool is_causal = true;
  int num_parts = 3;
};

// Multi-head, groups of eight and others, multi-query; lengths around the page of 64, sequences shorter than s_q.
const std::vector<DecodeShape> kShapes = {
    {1, 1, 1, {1}},
    {1, 1, 1, {0}},
    {1, 4, 4, {64, 0, 1}},
    {1, 8, 8, {63, 65}, true, 1},
    {2, 4, 4, {130}},
    {4, 2, 2, {3, 100}},
    {4, 3, 3, {70}, false},
    {1, 8, 1, {200}},
    {1, 16, 2, {127, 300}, true, 9},
    {1, 32, 4, {40}},
    {2, 16, 2, {1, 2, 66}},
    {4, 16, 4, {90}, true, 2},
    {3, 40, 8, {129}},
    {1, 64, 8, {191, 5}, true, 2},
    {1, 16, 1, {128}, true, 1},
    {1, 17, 1, {77}},
    {1, 63, 1, {100, 0}},
    {1, 64, 1, {256}, true, 9},
    {2, 33, 1, {65, 1}},
    {1, 128, 1, {129}, true, 2},
    {4, 20, 1, {2, 150}},
    {1, 9, 3, {0, 0, 0}},
    {1, 128, 128, {33}, true, 1},
};

struct Host {
  explicit Host(const DecodeShape& s, Pages order = Pages::shuffled, float range = 1)
      : shape(s), layout(paging(s.lengths, order)), q(random_bf16(rows() * kHeadDim, -range, range, 1)) {
    const auto elements = static_cast<std::size_t>(total(s.lengths)) * s.h_kv * kHeadDim;
    const auto nan = __float2bfloat16(std::numeric_limits<float>::quiet_NaN());
    k = paged(random_bf16(elements, -1, 1, 2), s.h_kv * kHeadDim, s.lengths, layout, nan);
    v = paged(random_bf16(elements, -1, 1, 3), s.h_kv * kHeadDim, s.lengths, layout, nan);
  }
  [[nodiscard]] std::size_t rows() const { return shape.lengths.size() * shape.s_q * shape.h_q; }

  DecodeShape shape;
  Paging layout;
  std::vector<__nv_bfloat16> q, k, v;
};

Params params(const Host& h) {
  return {.b = static_cast<int>(h.shape.lengths.size()),
          .s_q = h.shape.s_q,
          .h_q = h.shape.h_q,
          .h_kv = h.shape.h_kv,
          .max_pages = h.layout.max_pages,
          .is_causal = h.shape.is_causal,
          .sm_scale = 0.0883883476F};  // 1 / sqrt(128)
}

/// With a block table of pages from `first_page` on.
DecodeOutputs run(const Host& h, const std::vector<int>& block_table, int first_page = 0) {
  const split_kv::DevicePlan plan(h.shape.lengths, h.shape.num_parts,
                                  static_cast<std::size_t>(h.shape.s_q) * h.shape.h_q, kHeadDim);
  finish();
  ptx::reset_counters();
  const DeviceBuffer<__nv_bfloat16> q(h.q), k(h.k), v(h.v), out(h.rows() * kHeadDim);
  const DeviceBuffer<int> table(block_table);
  const DeviceBuffer<float> lse(h.rows());
  const std::int64_t first = row_offset(first_page, split_kv::kPageTokens) * h.shape.h_kv * kHeadDim;
  Params p = params(h);
  p.q = q.data();
  p.k_cache = shifted_back(k.data(), first);
  p.v_cache = shifted_back(v.data(), first);
  p.block_table = table.data();
  plan.fill(p);
  p.out = out.data();
  p.lse = lse.data();
  launch(p, nullptr);
  finish();
  expect_written(out);
  expect_written(lse);
  return {out.to_host(), lse.to_host(), plan.slots()};
}
DecodeOutputs run(const Host& h) { return run(h, h.layout.table); }

DecodeOutputs want(const Host& h) {
  DecodeOutputs o{std::vector<__nv_bfloat16>(h.rows() * kHeadDim), std::vector<float>(h.rows())};
  Params p = params(h);
  p.q = h.q.data();
  p.k_cache = h.k.data();
  p.v_cache = h.v.data();
  p.block_table = h.layout.table.data();
  p.lengths = h.shape.lengths.data();
  p.out = o.out.data();
  p.lse = o.lse.data();
  reference(p);
  return o;
}

testing::Message describe(const DecodeShape& s) {
  return testing::Message() << "s_q " << s.s_q << ", h_q " << s.h_q << ", h_kv " << s.h_kv << ", lengths "
                            << testing::PrintToString(s.lengths) << ", parts " << s.num_parts;
}

TEST_P(Schedules, AgreesWithTheReference) {
  for (const DecodeShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const Host h(s);
    expect_near(run(h), want(h), kDecodeTolerance, kLseTolerance);
  }
}

TEST_P(Schedules, PagesInAnyOrderGiveTheSameBits) {
  const DecodeShape s{1, 8, 2, {200, 70}};
  EXPECT_TRUE(are_same(run(Host(s, Pages::in_order)), run(Host(s, Pages::shuffled))));
}

TEST_P(Schedules, AnyNumberOfSplitsAgrees) {
  const bool is_full = GetParam().order == ptx::Order::kForward;
  const auto counts = is_full ? std::vector<int>{2, 3, 4, 5, 6, 7, 8, 9, 100} : std::vector<int>{4};
  for (const int h_kv : {1, 4}) {
    DecodeShape s{2, 16, h_kv, {2100}, true, 1};  // 33 pages: nine parts are worth while
    const DecodeOutputs whole = run(Host(s));
    EXPECT_EQ(whole.slots, 0);
    const DecodeOutputs expected = want(Host(s));
    for (const int num_parts : counts) {
      s.num_parts = num_parts;
      const DecodeOutputs cut = run(Host(s));
      EXPECT_EQ(cut.slots, std::min(num_parts, 9)) << num_parts;
      expect_near(cut, expected, kDecodeTolerance, kLseTolerance);
      EXPECT_LE(deviation(cut.out, whole.out).cosine, kDecodeTolerance.cosine) << num_parts;
      EXPECT_LE(deviation(cut.lse, whole.lse).absolute, 4e-6) << num_parts;
    }
  }
}

TEST_P(Schedules, VeryLargeLogits) {
  const Host h(DecodeShape{1, 8, 2, {150, 40}}, Pages::shuffled, 1e6);
  const DecodeOutputs got = run(h);
  const DecodeOutputs expected = want(h);
  for (const float lse : expected.lse) EXPECT_GT(lse, 1e5F);
  EXPECT_LE(deviation(got.out, expected.out).cosine, 5e-6);
  EXPECT_LE(deviation(got.lse, expected.lse).relative, 1e-6);
}

TEST_P(Schedules, PagesBeyondTwoToThe32Bytes) {
  constexpr int kFarPage = 300'000;
  const Host h(DecodeShape{1, 4, 2, {50}, true, 1}, Pages::in_order);
  expect_near(run(h, {kFarPage, kWildPage}, kFarPage), want(h), kDecodeTolerance, kLseTolerance);
}

// With the parts that two cards have room for: each token crosses the memory once, and what is moved in all, partial
// results included, is what the case counts. Multi-head, groups of eight, multi-query.
TEST(GqaDecodeTraffic, TheCacheIsReadOnce) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const int sm_count : {108, 132})
    for (const int h_kv : {16, 8, 1}) {
      const int h_q = h_kv == 16 ? 16 : 64;
      DecodeShape s{1, h_q, h_kv, {1000, 257, 62, 1, 400}};
      s.num_parts = num_parts(1, h_q, h_kv, sm_count);
      SCOPED_TRACE(testing::Message() << describe(s) << ", " << sm_count << " SMs");
      ptx::set_options({});
      const Host h(s);
      const DecodeOutputs got = run(h);
      const work::PagedDecode work{.decode = {.b = static_cast<double>(s.lengths.size()),
                                              .s_kv = static_cast<double>(total(s.lengths)) / 5,
                                              .h_q = static_cast<double>(h_q),
                                              .h_kv = static_cast<double>(h_kv),
                                              .d_qk = kHeadDim,
                                              .d_v = kHeadDim},
                                   .cache = {.h_kv = static_cast<double>(h_kv), .d_k = kHeadDim, .d_v = kHeadDim},
                                   .partial_results = static_cast<double>(got.slots)};
      const double cache = static_cast<double>(total(s.lengths)) * work::bytes_per_token(work.cache).value;
      const double others = static_cast<double>(h.rows()) * kHeadDim * 2 + work::partial_bytes(work).value / 2;
      const double loaded = 32.0 * static_cast<double>(counted().global_loads.distinct_sectors) - others;
      EXPECT_LE(loaded / cache, 1.05);
      EXPECT_GE(loaded / cache, 0.98);
      EXPECT_NEAR(sector_bytes() / work::bytes(work).value, 1, 0.03);
      RecordProperty("cache_ratio_" + std::to_string(h_kv) + "_" + std::to_string(sm_count),
                     std::to_string(loaded / cache));
    }
}

// Distinct sectors would hide a page that a block reads twice.
TEST(GqaDecodeTraffic, EachBlockAsksForItsPagesOnce) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  ptx::set_options({});
  const Host h(DecodeShape{1, 16, 2, {1500}, true, 1});
  run(h);
  const double cache = 1500.0 * 2 * 2 * kHeadDim * 2;
  EXPECT_NEAR(32.0 * static_cast<double>(counted().global_loads.sectors) / cache, 1, 0.03);
}

TEST(GqaDecodeTraffic, SharedMemoryHasFewBankConflicts) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const int h_q : {8, 64}) {
    ptx::set_options({});
    run(Host(DecodeShape{1, h_q, 1, {512}, true, 1}));
    const auto shared = counted().shared;
    EXPECT_LE(static_cast<double>(shared.wavefronts) / static_cast<double>(shared.ideal_wavefronts), 1.05) << h_q;
    EXPECT_GT(counted().instructions(ptx::Class::kMatrix), 0U);
  }
}

}  // namespace
}  // namespace traincost::kernels::gqa_decode
