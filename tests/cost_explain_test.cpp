#include <gtest/gtest.h>

#include <algorithm>

#include <traincost/cost/ablate.hpp>
#include <traincost/cost/estimate.hpp>
#include <traincost/cost/explain.hpp>

namespace traincost::cost {
namespace {

Job published(const char* model) {
  const auto* chip = catalog::find_chip(catalog::chips(), "h800-sxm5-80gb");
  return published_job(*catalog::find_model(catalog::models(), model), *chip, catalog::default_cluster(*chip));
}

TEST(Explain, PartsAddUpToTheStepAndNoneBeatsItsFloor) {
  const Job job = published("deepseek-v3");
  const auto efficiency = calibrate::default_efficiency().on(job.chip);
  const auto cost = step(job, efficiency);
  const auto parts = explain(job, cost, efficiency);
  double sum = 0;
  for (const auto& part : parts) {
    sum += part.seconds.value;
    EXPECT_FALSE(part.source.empty()) << part.name;
    if (part.floor) EXPECT_LT(part.floor->value, part.seconds.value * 1.001) << part.name;
  }
  EXPECT_NEAR(sum, cost.seconds.p50, 2e-6 * cost.seconds.p50);
  EXPECT_TRUE(std::ranges::any_of(parts, [](auto& p) { return p.name == "experts: gemm fp8_block"; }));
  EXPECT_TRUE(std::ranges::any_of(parts, [](auto& p) { return p.name == "recompute"; }));
}

TEST(Ablate, TheDenseModelHasAsManyActiveParameters) {
  const auto& model = *catalog::find_model(catalog::models(), "deepseek-v3");
  const auto dense = dense_model(model);
  EXPECT_NEAR(catalog::active_params(dense), catalog::active_params(model), 1e-6 * catalog::active_params(model));
  EXPECT_EQ(dense.attention, catalog::AttentionKind::mha);
  EXPECT_FALSE(catalog::is_moe(dense));
}

TEST(Ablate, EachStepIsPricedAndTheLastIsTheModelItself) {
  const Job job = published("deepseek-v3");
  const auto steps = ablate(job, calibrate::default_efficiency().on(job.chip));
  ASSERT_EQ(steps.size(), 5u);
  for (const auto& s : steps) {
    ASSERT_TRUE(s.layout) << s.change;
    EXPECT_EQ(s.layout->schedule == Schedule::dual_pipe, s.change == "+ DualPipe");
    EXPECT_TRUE(fits(s.step.memory, job.chip));
  }
  EXPECT_EQ(steps.back().model.id, job.model.id);
  EXPECT_EQ(steps.back().layout->dtype, job.layout.dtype);
  EXPECT_LT(steps[4].step.seconds.p50, steps[3].step.seconds.p50) << "DualPipe hides the all-to-all";
  EXPECT_LT(steps[3].step.seconds.p50, steps[2].step.seconds.p50) << "fp8 is faster than bf16";
}

}  // namespace
}  // namespace traincost::cost
