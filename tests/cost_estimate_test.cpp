#include <gtest/gtest.h>

#include <algorithm>

#include <traincost/cost/estimate.hpp>
#include <traincost/cost/goodput.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

Request deepseek_on(const std::string& chip, double gpus) {
  Request request{.model = *catalog::find_model(catalog::models(), "deepseek-v3"),
                  .chip = *catalog::find_chip(catalog::chips(), chip),
                  .gpus = gpus,
                  .tokens = 14.8e12};
  request.cluster = catalog::default_cluster(request.chip);
  return request;
}

Estimate priced(const Request& request) {
  return estimate(request, calibrate::default_efficiency(), catalog::prices(), catalog::operating());
}

TEST(Goodput, IsLlama3sAtItsSizeAndFallsWithTheGpus) {
  EXPECT_NEAR(goodput(16384), 0.9, 1e-9) << "arXiv 2407.21783, section 3.3.4";
  EXPECT_GT(goodput(8), 0.9999);
  EXPECT_LT(goodput(100000), goodput(16384));
}

TEST(Estimate, APublishedLayoutTakesMoreOrFewerDataParallelRanks) {
  const auto model = *catalog::find_model(catalog::models(), "deepseek-v3");
  const auto full = published_layout(model, 2048), half = published_layout(model, 1024);
  ASSERT_TRUE(full && half);
  EXPECT_EQ(full->pipeline_par, 16);
  EXPECT_EQ(full->expert_par, 64);
  EXPECT_EQ(full->schedule, Schedule::dual_pipe);
  EXPECT_EQ(full->dtype, work::Dtype::fp8_block);
  EXPECT_EQ(data_par(*full), 128);
  EXPECT_EQ(data_par(*half), 64);
  EXPECT_FALSE(published_layout(model, 2040)) << "16 stages do not divide 2040";
}

TEST(Estimate, DollarsAreGpuHoursTimesThePriceGiven) {
  Request request = deepseek_on("h800-sxm5-80gb", 2048);
  request.usd_per_gpu_hour = 2.5;
  const auto e = priced(request);
  EXPECT_NEAR(e.budget.usd.p50, 2.5 * e.budget.gpu_hours.p50, 1e-6 * e.budget.usd.p50);
  EXPECT_NEAR(e.budget.gpu_hours.p50, e.step.seconds.p50 * e.budget.steps * 2048 / 3600 / e.budget.goodput, 1);
  EXPECT_LT(e.budget.usd.p5, e.budget.usd.p50);
  EXPECT_LT(e.budget.usd.p50, e.budget.usd.p95);
}

TEST(Estimate, PartsAddUpToTheStep) {
  const auto e = priced(deepseek_on("h800-sxm5-80gb", 2048));
  double sum = 0;
  for (const auto& part : e.step.parts) sum += part.seconds.value;
  EXPECT_NEAR(sum, e.step.seconds.p50, 1e-6 * sum);
}

TEST(Estimate, AChipWithoutTheFormatSaysWhatItUses) {
  const auto e = priced(deepseek_on("a100-sxm4-80gb", 2048));
  EXPECT_EQ(e.job.layout.dtype, work::Dtype::bf16);
  EXPECT_TRUE(std::any_of(e.assumptions.begin(), e.assumptions.end(),
                          [](const auto& text) { return text.find("has no fp8_block") != std::string::npos; }));
}

TEST(Estimate, WhatIsAskedIsKept) {
  Request request = deepseek_on("h800-sxm5-80gb", 2048);
  request.tensor_par = 2;
  request.recompute = Recompute::full;
  request.global_batch = 7680;
  const auto e = priced(request);
  EXPECT_EQ(e.job.layout.tensor_par, 2);
  EXPECT_EQ(e.job.layout.recompute, Recompute::full);
  EXPECT_EQ(e.job.layout.global_batch, 7680);
  request.tensor_par = 3;
  EXPECT_THROW(priced(request), InputError);
}

TEST(Estimate, ANarrowerLinkCostsTimeAndComparisonNamesThePart) {
  const auto h800 = priced(deepseek_on("h800-sxm5-80gb", 2048));
  Request wider = deepseek_on("h800-sxm5-80gb", 2048);
  wider.chip = *catalog::find_chip(catalog::chips(), "h100-sxm5-80gb");
  wider.cluster = catalog::default_cluster(wider.chip);
  const auto h100 = priced(wider);
  EXPECT_LT(h100.step.seconds.p50, h800.step.seconds.p50);
  const auto parts = differences(h800.step, h100.step);
  ASSERT_FALSE(parts.empty());
  EXPECT_GT(std::abs((parts.front().second - parts.front().first).value), 0);
}

TEST(Estimate, DifferencesCountAPartThatOneStepLacks) {
  const Part shared{.name = "attention", .seconds = {2}}, alone{.name = "bubble", .seconds = {5}};
  const auto parts = differences({.parts = {shared}}, {.parts = {shared, alone}});
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].name, "bubble");
  EXPECT_EQ(parts[0].first.value, 0);
  EXPECT_EQ(parts[0].second.value, 5);
}

TEST(Estimate, TheLimitIsTheLongestWait) {
  StepCost step{.seconds = {.p50 = 10}};
  step.parts = {{.name = "experts", .category = Category::compute, .seconds = {9.7}},
                {.name = "bubble", .category = Category::bubble, .seconds = {0.3}}};
  EXPECT_EQ(limit(step), "compute");
  step.parts[1].seconds = {0.6};
  EXPECT_EQ(limit(step), "bubble");
}

}  // namespace
}  // namespace traincost::cost
