// One step priced alone, and layouts per second of one core when a whole space is priced.
#include <benchmark/benchmark.h>

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
  j.stack.exchange = Stack::Exchange::deepep;
  j.stack.dispatches_fp8 = true;
  return j;
}

Job gpt3() { return job("gpt-3-175b", "a100-sxm4-80gb", 1, 2048); }
Job deepseek() { return job("deepseek-v3", "h800-sxm5-80gb", 15360, 4096); }

void one_step(benchmark::State& state, const Job& j) {
  const auto efficiency = calibrate::default_efficiency().on(j.chip);
  for (auto _ : state) benchmark::DoNotOptimize(step(j, efficiency));
  state.SetItemsProcessed(state.iterations());
}

void whole_space(benchmark::State& state, const Job& j, const Space& space, bool prunes) {
  const auto efficiency = calibrate::default_efficiency().on(j.chip);
  std::int64_t priced = 0;
  for (auto _ : state) {
    ItemPricer pricer(space, j, efficiency, default_constants(), prunes);
    for (std::uint64_t item = 0; item < items(space); ++item)
      pricer.price(item, [&](const PricedLayout& p) {
        benchmark::DoNotOptimize(p);
        ++priced;
      });
  }
  state.SetItemsProcessed(priced);
}

void step_gpt3(benchmark::State& state) {
  Job j = gpt3();
  j.layout.gpus = 64;
  j.layout.tensor_par = j.layout.pipeline_par = 8;
  one_step(state, j);
}
void step_deepseek(benchmark::State& state) {
  Job j = deepseek();
  j.layout.gpus = 2048;
  j.layout.pipeline_par = 16;
  j.layout.expert_par = 64;
  j.layout.schedule = Schedule::dual_pipe;
  j.layout.dtype = work::Dtype::fp8_block;
  one_step(state, j);
}
void executions_gpt3_64_gpus(benchmark::State& state) {
  const Job j = gpt3();
  whole_space(state, j, execution_space(j, {64}, {}), false);
}
void layouts_deepseek_2048_gpus(benchmark::State& state) {
  const Job j = deepseek();
  whole_space(state, j, layout_space(j, {2048}, {}), true);
}

BENCHMARK(step_gpt3)->Unit(benchmark::kMicrosecond);
BENCHMARK(step_deepseek)->Unit(benchmark::kMicrosecond);
BENCHMARK(executions_gpt3_64_gpus)->Unit(benchmark::kMillisecond);
BENCHMARK(layouts_deepseek_2048_gpus)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace traincost::cost
