#include <gtest/gtest.h>

#include <cmath>

#include <traincost/calibrate/cross_validate.hpp>
#include <traincost/calibrate/fit.hpp>
#include <traincost/calibrate/transfer.hpp>

// What a surface becomes on a chip that nobody timed: less clock with less power, and towards what all chips do.
namespace traincost::calibrate {
namespace {

using work::Dtype;

const Typical kAll{.compute_efficiency = 0.8, .memory_efficiency = 0.9, .best_compute_efficiency = 0.9};

Surface donor(Kind kind = Kind::gemm, const std::string& chip = "donor") {
  Surface s{.kind = kind, .chip = chip};
  s.trend.compute_efficiency = 0.6;
  s.trend.memory_efficiency = 0.7;
  s.watts_per_flops = 1e-12;
  return s;
}

TEST(Sustained, FollowsThePowerPerFlopUpToTheBestChip) {
  EXPECT_DOUBLE_EQ(sustained(donor(), 1e-12, kAll), 1);
  EXPECT_NEAR(sustained(donor(), 0.125e-12, kAll), 0.25, 1e-12);  // (1/8)^(2/3)
  EXPECT_NEAR(sustained(donor(), 1.331e-12, kAll), 1.21, 1e-12);
  EXPECT_NEAR(sustained(donor(), 8e-12, kAll), 0.9 / 0.6, 1e-12);
  auto best = donor();
  best.trend.compute_efficiency = 0.95;
  EXPECT_DOUBLE_EQ(sustained(best, 8e-12, kAll), 1);
}

TEST(Sustained, IsOneWherePowerSaysNothing) {
  EXPECT_DOUBLE_EQ(sustained(donor(), 0, kAll), 1);
  auto unknown = donor();
  unknown.watts_per_flops = 0;
  EXPECT_DOUBLE_EQ(sustained(unknown, 0.5e-12, kAll), 1);
  EXPECT_DOUBLE_EQ(sustained(donor(Kind::gemm, kStackedPool), 0.5e-12, kAll), 1);
  EXPECT_LT(sustained(donor(Kind::gemm, kPlanarPool), 0.5e-12, kAll), 1);
  EXPECT_DOUBLE_EQ(sustained(donor(Kind::decode), 0.5e-12, kAll), 1);
  EXPECT_DOUBLE_EQ(sustained(donor(Kind::quantize), 0.5e-12, kAll), 1);
}

TEST(Shrunk, TheFewerChipsTheNearerToWhatIsTypical) {
  const auto of_one = shrunk(donor(), 1, kAll), of_two = shrunk(donor(), 2, kAll);
  EXPECT_NEAR(of_one.trend.compute_efficiency, std::sqrt(0.6 * 0.8), 1e-12);
  EXPECT_NEAR(of_one.trend.memory_efficiency, std::sqrt(0.7 * 0.9), 1e-12);
  EXPECT_NEAR(of_two.trend.compute_efficiency, std::cbrt(0.6 * 0.6 * 0.8), 1e-12);
  EXPECT_DOUBLE_EQ(shrunk(donor(Kind::attention), 1, kAll).trend.compute_efficiency, 0.6);
  EXPECT_DOUBLE_EQ(shrunk(donor(), 1, Typical{}).trend.compute_efficiency, 0.6);
}

TEST(Typical, IsOfTheOtherChipsAndNotOfPools) {
  std::vector<Surface> surfaces(5, donor());
  const std::vector<std::string> chips{"a", "b", "c", "left out", kPlanarPool};
  for (std::size_t i = 0; i < surfaces.size(); ++i) {
    surfaces[i].chip = chips[i];
    surfaces[i].trend.compute_efficiency = 0.5 + 0.1 * static_cast<double>(i);
  }
  const auto all = typical(surfaces, Kind::gemm, Dtype::bf16, "left out");
  EXPECT_NEAR(all.compute_efficiency, 0.6, 1e-12);
  EXPECT_NEAR(all.best_compute_efficiency, 0.7, 1e-12);
  EXPECT_EQ(typical(surfaces, Kind::attention, Dtype::bf16).compute_efficiency, 0);
}

catalog::Chip card(const std::string& id, const std::string& arch, const std::string& memory, double watts) {
  catalog::Chip c;
  c.id = id;
  c.arch = arch;
  c.memory_type = memory;
  c.bf16_dense_flops = {4e14};
  c.memory_bytes_per_s = {2e12};
  c.sm_count = 128;
  c.tdp_watts = {watts};
  c.source = "made up";
  return c;
}

// Every chip obeys the law of power exactly.
std::vector<measure::Row> rows_of(const catalog::Chip& c) {
  std::vector<measure::Row> rows;
  const auto f = figures(c, Kind::gemm, Dtype::bf16);
  const Trend law{.launch_s = 4e-6,
                  .compute_efficiency = 0.9 * std::pow(c.tdp_watts->value / 600, 2.0 / 3),
                  .memory_efficiency = 0.85};
  for (double m = 16; m <= 16384; m *= 2)
    for (double n = 512; n <= 16384; n *= 2)
      for (double k = 512; k <= 8192; k *= 4)
        for (const auto& [provider, factor] : {std::pair{"fast", 1.0}, std::pair{"slow", 1.1}}) {
          const work::Gemm g{m, n, k};
          rows.push_back({.op = g,
                          .chip = c.id,
                          .provider = provider,
                          .latency = {factor * seconds(law, load(g, Dtype::bf16, f, false))},
                          .source = "law"});
        }
  return rows;
}

constexpr work::Gemm kOfArithmetic{16384, 8192, 8192}, kOfMemory{16, 8192, 8192};

double time_of(const Efficiency& e, const catalog::Chip& c, const work::Op& op) {
  return e.on(c).time(op, Dtype::bf16).seconds.value;
}

TEST(Transfer, ASiblingWithLessPowerHoldsLessOfItsRateButAllOfItsMemory) {
  const auto full = card("full", "One", "HBM3", 600), half = card("half", "One", "HBM3", 300);
  const auto e = fit(rows_of(full), {full, half});
  EXPECT_NEAR(time_of(e, half, kOfArithmetic) / time_of(e, full, kOfArithmetic), std::pow(2, 2.0 / 3), 0.03);
  EXPECT_LT(time_of(e, half, kOfMemory) / time_of(e, full, kOfMemory), 1.05);  // arithmetic overlaps, nearly all of it
  const auto again = from_json(to_json(e), "f.json");
  EXPECT_NEAR(time_of(again, half, kOfArithmetic) / time_of(e, half, kOfArithmetic), 1, 0.002);
}

TEST(Transfer, AnOperatorsCapCountsOnce) {
  const auto full = card("full", "One", "HBM3", 600);
  auto capped = card("capped", "One", "HBM3", 300);
  capped.uncapped_tdp_watts = {600};
  const auto e = fit(rows_of(full), {full, capped});
  EXPECT_NEAR(time_of(e, capped, kOfArithmetic) / time_of(e, full, kOfArithmetic), 2, 0.03);
}

TEST(Transfer, AChipWithoutARateForTheStandInIsStillPriced) {
  const auto full = card("full", "One", "HBM3", 600);
  auto bare = card("bare", "One", "HBM3", 300);
  bare.bf16_dense_flops.reset();
  bare.fp8_dense_flops = {8e14};
  EXPECT_GT(fit(rows_of(full), {full, bare}).on(bare).time(kOfArithmetic, Dtype::fp8).seconds.value, 0);
}

TEST(Transfer, TheCardsOfOnePoolKnowEachOtherByTheirPower) {
  const std::vector<catalog::Chip> chips{card("a", "One", "GDDR6", 400), card("b", "Two", "GDDR7", 600),
                                         card("c", "Three", "HBM3", 500)};
  std::vector<measure::Row> rows;
  for (const auto& c : chips)
    for (auto& r : rows_of(c)) rows.push_back(std::move(r));
  auto blind = chips;
  for (auto& c : blind) c.tdp_watts.reset();
  const auto seeing = leave_chip_out(merge(rows, chips), chips, {});
  const auto guessing = leave_chip_out(merge(rows, blind), blind, {});
  ASSERT_EQ(seeing.size(), 2U);  // the third is alone in its pool
  for (std::size_t i : {0U, 1U}) EXPECT_LT(seeing[i].median, 0.7 * guessing[i].median) << seeing[i].chip;
  EXPECT_NEAR(seeing[0].second_median, 0.1, 1e-9);
}

}  // namespace
}  // namespace traincost::calibrate
