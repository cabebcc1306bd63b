#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include <traincost/catalog/cluster.hpp>
#include <traincost/cost/item_pricer.hpp>
#include <traincost/cost/step.hpp>

namespace traincost::cost {
namespace {

Job job(const char* model, const char* chip, double batch, double seq_len) {
  const auto* c = catalog::find_chip(catalog::chips(), chip);
  Job j{.model = *catalog::find_model(catalog::models(), model),
        .chip = *c,
        .cluster = catalog::default_cluster(*c),
        .layout = {.global_batch = batch, .seq_len = seq_len}};
  j.stack.dedups_expert_par = true;
  return j;
}

// Draws items until `count` layouts are priced, one in `stride` of each item.
void expect_equals_step(const Space& space, Job base, std::size_t count, std::uint64_t stride) {
  const auto efficiency = calibrate::default_efficiency().on(base.chip);
  ItemPricer pricer(space, base, efficiency, default_constants(), false);
  std::mt19937_64 random(20261124);
  std::size_t compared = 0;
  while (compared < count) {
    const std::uint64_t offset = random() % stride;
    std::uint64_t seen = 0;
    pricer.price(random() % items(space), [&](const PricedLayout& priced) {
      if (seen++ % stride != offset) return;
      base.layout = layout_at(space, priced.index);
      ASSERT_TRUE(is_possible(space, base.model, base.layout)) << describe(base.layout);
      const auto expected = step(base, efficiency);
      EXPECT_NEAR(priced.step_seconds, expected.seconds.p50, 1e-9 * expected.seconds.p50) << describe(base.layout);
      EXPECT_NEAR(priced.memory_bytes, expected.memory.total(), 1e-9 * expected.memory.total());
      EXPECT_NEAR(priced.busy_fraction, expected.busy_fraction, 1e-9);
      EXPECT_EQ(priced.fits, fits(expected.memory, base.chip));
      ++compared;
    });
  }
}

TEST(Search, AThousandRandomDrawsEqualTheStep) {
  const Job dense = job("gpt-3-175b", "a100-sxm4-80gb", 1, 2048);
  expect_equals_step(execution_space(dense, {64}, {}), dense, 500, 997);
  const Job experts = job("deepseek-v3", "h800-sxm5-80gb", 15360, 4096);
  expect_equals_step(layout_space(experts, {2048}, {}), experts, 500, 97);
}

TEST(Search, EveryPossibleLayoutIsPricedOnce) {
  const Job dense = job("llama-3-8b", "h100-sxm5-80gb", 64, 16384);
  const Space space = layout_space(dense, {8, 16}, {});
  const auto efficiency = calibrate::default_efficiency().on(dense.chip);
  ItemPricer pricer(space, dense, efficiency, default_constants(), false);
  std::vector<std::uint64_t> priced;
  for (std::uint64_t item = 0; item < items(space); ++item)
    pricer.price(item, [&](const PricedLayout& p) { priced.push_back(p.index); });
  EXPECT_TRUE(std::is_sorted(priced.begin(), priced.end()));
  std::vector<std::uint64_t> possible;
  for (std::uint64_t i = 0; i < size(space); ++i)
    if (is_possible(space, dense.model, layout_at(space, i))) possible.push_back(i);
  EXPECT_EQ(priced, possible);
}

}  // namespace
}  // namespace traincost::cost
