#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include <traincost/catalog/cluster.hpp>
#include <traincost/cost/search.hpp>
#include <traincost/cost/step.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

Job job(const char* model, const char* chip, double batch, double seq_len) {
  const auto* c = catalog::find_chip(catalog::chips(), chip);
  Job j{.model = *catalog::find_model(catalog::models(), model),
        .chip = *c,
        .cluster = catalog::default_cluster(*c),
        .layout = {.global_batch = batch, .seq_len = seq_len}};
  j.stack.exchange = Stack::Exchange::deepep;
  j.stack.dispatches_fp8 = true;
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

// Calculon's llm-optimal-execution on 64 A100 with one sequence walks 27,360 executions.
TEST(Search, TheSpaceHoldsCalculonsExecutions) {
  const Job dense = job("gpt-3-175b", "a100-sxm4-80gb", 1, 2048);
  const Space space = execution_space(dense, {64}, {});
  std::size_t executions = 0;
  for (std::uint64_t i = 0; i < size(space); ++i) {
    const Layout l = layout_at(space, i);
    if (l.schedule == Schedule::zero_bubble || l.schedule == Schedule::dual_pipe) continue;
    if (l.sharding != Sharding::none || l.recompute_share < 1 || l.context_par > 1 || l.dtype != work::Dtype::bf16)
      continue;
    // It offloads no activations where all are recomputed.
    if (l.recompute == Recompute::full && l.offload.activations) continue;
    if (std::fmod(dense.model.layers, l.pipeline_par * l.interleave) != 0) continue;
    if (is_possible(space, dense.model, l)) ++executions;
  }
  EXPECT_EQ(executions, 27360u);
}

SearchState found(const Space& space, const Job& j, const SearchOptions& options,
                  std::optional<SearchState> from = {}) {
  const auto efficiency = calibrate::default_efficiency().on(j.chip);
  return search(space, j, efficiency, {.usd_per_gpu_second = {2.0 / 3600}}, options, std::move(from));
}

std::vector<std::uint64_t> indices(const std::vector<Found>& all) {
  std::vector<std::uint64_t> result;
  for (const auto& f : all) result.push_back(f.index);
  return result;
}

void expect_same(const SearchState& a, const SearchState& b) {
  EXPECT_EQ(indices(a.front.pareto()), indices(b.front.pareto()));
  EXPECT_EQ(indices(a.front.best()), indices(b.front.best()));
  EXPECT_EQ(a.counts.evaluated, b.counts.evaluated);
  EXPECT_EQ(a.counts.feasible, b.counts.feasible);
  EXPECT_EQ(a.counts.pruned, b.counts.pruned);
}

TEST(Search, ThreadsAndInterruptionsDoNotChangeTheResult) {
  const Job j = job("llama-3-8b", "h100-sxm5-80gb", 256, 2048);
  const Space space = layout_space(j, {8, 16}, {.micro_batch = 1, .dtype = work::Dtype::bf16});
  const auto whole = found(space, j, {.objective = Objective::cost});
  EXPECT_TRUE(whole.is_finished());
  EXPECT_GT(whole.counts.feasible, 300u);
  expect_same(whole, found(space, j, {.objective = Objective::cost, .threads = 3}));

  // Stops after one item per call, and goes on from what it wrote.
  std::optional<SearchState> state;
  int calls = 0;
  do {
    state = found(space, j, {.objective = Objective::cost, .for_seconds = 1e-9}, std::move(state));
    state = search_state_from_json(to_json(*state), "state.json");
    ++calls;
  } while (!state->is_finished());
  EXPECT_GT(calls, 5);
  expect_same(whole, *state);

  EXPECT_THROW((void)found(space, j, {.objective = Objective::time}, *state), InputError);
  EXPECT_THROW((void)search_state_from_json("{}", "state.json"), InputError);
}

TEST(Search, PruningLosesNothing) {
  const Job j = job("llama-3.1-70b", "h100-sxm5-80gb", 128, 8192);
  const Space space = layout_space(j, {64}, {});
  const auto pruned = found(space, j, {}), whole = found(space, j, {.prunes = false});
  EXPECT_GT(pruned.counts.pruned, 0u);
  EXPECT_EQ(pruned.counts.evaluated + pruned.counts.pruned, whole.counts.evaluated);
  EXPECT_EQ(pruned.counts.feasible, whole.counts.feasible);
  EXPECT_EQ(indices(pruned.front.pareto()), indices(whole.front.pareto()));
}

TEST(Search, TheFastestIsTheFirstOfTheFront) {
  const Job j = job("mixtral-8x7b", "h100-sxm5-80gb", 128, 4096);
  const Space space = layout_space(j, {32}, {.dtype = work::Dtype::bf16});
  const auto efficiency = calibrate::default_efficiency().on(j.chip);
  const auto best = fastest(space, j, efficiency);
  ASSERT_TRUE(best);
  const auto front = found(space, j, {}).front.pareto();
  EXPECT_EQ(describe(*best), describe(layout_at(space, front.front().index)));
  for (std::size_t i = 1; i < front.size(); ++i) EXPECT_LT(front[i].memory_bytes, front[i - 1].memory_bytes);
}

TEST(Search, NothingFitsWhereNothingCan) {
  const Job j = job("deepseek-v3", "h800-sxm5-80gb", 64, 4096);
  const auto state = found(layout_space(j, {8}, {}), j, {});
  EXPECT_TRUE(state.is_finished());
  EXPECT_EQ(state.counts.feasible, 0u);
  EXPECT_TRUE(state.front.pareto().empty());
}

TEST(Front, KeepsWhatNothingBeats) {
  Front front(Objective::time, 2);
  front.offer({.index = 3, .seconds = 2, .memory_bytes = 2});
  front.offer({.index = 4, .seconds = 3, .memory_bytes = 3});  // beaten
  front.offer({.index = 5, .seconds = 1, .memory_bytes = 4});
  front.offer({.index = 2, .seconds = 2, .memory_bytes = 2});  // the same, earlier in the space
  front.offer({.index = 2, .seconds = 2, .memory_bytes = 2});  // itself
  EXPECT_EQ(indices(front.pareto()), (std::vector<std::uint64_t>{5, 2}));
  EXPECT_EQ(indices(front.best()), (std::vector<std::uint64_t>{5, 2}));
}

}  // namespace
}  // namespace traincost::cost
