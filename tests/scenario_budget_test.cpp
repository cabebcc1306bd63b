#include <gtest/gtest.h>

#include <cmath>

#include <traincost/catalog/price.hpp>
#include <traincost/scenario/buying_power.hpp>
#include <traincost/scenario/scaling_law.hpp>
#include <traincost/scenario/trend.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

TEST(Worked, AnAmortisedH100Hour) {
  const auto per_second = catalog::amortised(units::Dollars{33810}, units::Watts{700}, catalog::operating());
  EXPECT_NEAR((per_second * units::kHour).value, 1.63, 0.005);
}

TEST(Worked, DeepSeekV3AtTwoDollars) {
  const auto time = gpu_time({.dollars = 5.576e6, .chips = {}, .watts = {}, .days = {}}, 2, 700, catalog::operating());
  EXPECT_NEAR(time.gpu_hours, 2.788e6, 1);
  EXPECT_EQ(time.limit, "dollars");
}

TEST(Means, TheScarcestDecides) {
  const auto& operating = catalog::operating();
  const Means both{.dollars = 1e6, .chips = 1000, .watts = {}, .days = 10};
  EXPECT_EQ(gpu_time(both, 2, 700, operating).limit, "chips");
  EXPECT_EQ(gpu_time(both, 2, 700, operating).gpu_hours, 240000);
  const Means power{.dollars = 1e9, .chips = 1e6, .watts = 1e6, .days = 10};
  EXPECT_EQ(gpu_time(power, 2, 700, operating).limit, "power");
  EXPECT_NEAR(wall_watts(700, operating), 700 * 1.821 * 0.75 * 1.25, 20);
  EXPECT_THROW(gpu_time({.dollars = {}, .chips = 10, .watts = {}, .days = {}}, 2, 700, operating), InputError);
  EXPECT_THROW(gpu_time({}, 2, 700, operating), InputError);
}

TEST(ScalingLaw, ChinchillaItself) {
  const auto& law = *find_scaling_law("hoffmann");
  EXPECT_NEAR(loss(law, 70e9, 1.4e12), 1.69 + 406.4 / std::pow(70e9, 0.34) + 410.7 / std::pow(1.4e12, 0.28), 1e-12);
  // The refit asks for about 20 tokens a parameter at Chinchilla's compute, as their other two approaches do.
  const auto run = optimal_run(*find_scaling_law("besiroglu"), 5.76e23);
  EXPECT_GT(run.tokens / run.active_params, 15);
  EXPECT_LT(run.tokens / run.active_params, 30);
}

TEST(ScalingLaw, TheOptimumIsAMinimum) {
  for (const auto& law : scaling_laws())
    for (const double flop : {1e20, 3e24, 1e28}) {
      const double best = optimal_run(law, flop).loss;
      for (const double factor : {0.5, 0.9, 1.1, 2.0}) {
        EXPECT_LT(best, optimal_run(law, flop, {.over_training = factor}).loss) << law.id << " " << flop;
      }
    }
}

TEST(ScalingLaw, TwiceTheBudgetNeverBuysASmallerRun) {
  for (const auto& law : scaling_laws())
    for (const double ratio : {1.0, 18.0})
      for (const double over : {1.0, 5.0}) {
        const Shape shape{.total_over_active = ratio, .over_training = over};
        OptimalRun before = optimal_run(law, 1e18, shape);
        for (double flop = 2e18; flop < 1e30; flop *= 2) {
          const auto run = optimal_run(law, flop, shape);
          EXPECT_GT(run.active_params, before.active_params);
          EXPECT_GT(run.tokens, before.tokens);
          EXPECT_LT(run.loss, before.loss);
          EXPECT_NEAR(6 * run.active_params * run.tokens / flop, 1, 1e-9);
          before = run;
        }
      }
}

TEST(ScalingLaw, InvertsTheLoss) {
  for (const auto& law : scaling_laws()) {
    const auto run = optimal_run(law, 3e24);
    EXPECT_NEAR(flop_for_loss(law, run.loss).value_or(0) / 3e24, 1, 1e-6);
    EXPECT_FALSE(flop_for_loss(law, law.e));
  }
}

TEST(Firm, TheFinalRunIsASmallPart) {
  // About 50,000 Hoppers for 1.6 billion dollars (SemiAnalysis) beside a run of 5.576 million.
  const auto year = firm_year(
      {.chips = 50000, .capex_usd = 1.6e9, .tdp_watts = 700, .final_run_usd = 5.576e6, .final_run_gpu_hours = 2.788e6},
      catalog::operating());
  EXPECT_NEAR(year.amortised_usd, 1.6e9 * 0.14 * std::log(10.0), 1e6);
  EXPECT_NEAR(year.final_run_share_of_gpu_hours, 2.788e6 / (50000 * 8766.0), 1e-9);
  EXPECT_LT(year.final_run_share_of_usd, 0.02);
}

Factor constant(double x) { return {.name = "c", .p5 = x, .p50 = x, .p95 = x}; }

TEST(Trend, WithoutSpreadItIsArithmetic) {
  const auto answer = trend({.older_usd = constant(40e6),
                             .months_younger = constant(12),
                             .progress_per_year = constant(4),
                             .behind = constant(2),
                             .younger_usd = 5e6},
                            100, 1);
  EXPECT_DOUBLE_EQ(answer.actual.p50, 8);
  EXPECT_NEAR(answer.expected.p5, 8, 1e-9);  // the essay's: 4x a year, twice behind, a year on
  EXPECT_NEAR(answer.excess.p95, 1, 1e-9);
}

TEST(Trend, MoreProgressMakesARunLessRemarkable) {
  TrendQuestion q{.older_usd = constant(31e6),
                  .months_younger = constant(8.5),
                  .progress_per_year = progress_of("epoch"),
                  .behind = constant(1),
                  .younger_usd = 5.576e6};
  const auto epoch = trend(q, 4000, 1);
  q.progress_per_year = progress_of("essay");
  EXPECT_LT(trend(q, 4000, 1).excess.p50, epoch.excess.p50);
  EXPECT_THROW(progress_of("hope"), InputError);
}

}  // namespace
}  // namespace traincost::scenario
