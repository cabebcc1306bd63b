#include <gtest/gtest.h>

#include <map>

#include <traincost/cost/memory.hpp>
#include <traincost/cost/run_row.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::cost {
namespace {

std::vector<RunRow> published_runs() {
  return run_rows(measure::read_csv(TRAINCOST_SOURCE_DIR "/results/published/runs.csv"),
                  calibrate::default_efficiency());
}

// Peak allocated bytes of 28 measured B200 steps: mean error 4 %, none above 10 %.
TEST(Memory, MeasuredPeaksOnB200) {
  const auto table = measure::read_csv(TRAINCOST_SOURCE_DIR "/results/published/memory_b200.csv");
  const auto name = *measure::column(table, "case"), peak = *measure::column(table, "peak_allocated_GiB");
  std::map<std::string, Job> jobs;
  for (const auto& row : published_runs())
    if (row.job) jobs[row.id] = *row.job;
  double sum = 0;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const auto& job = jobs.at("simumax-b200-" + table.rows[i][name]);
    const double predicted = memory(job).total() / units::kGibibyte.value;
    const double error = std::abs(predicted / *measure::number(table, i, peak) - 1);
    EXPECT_LT(error, 0.10) << table.rows[i][name];
    sum += error;
  }
  EXPECT_EQ(table.rows.size(), 28u);
  EXPECT_LT(sum / static_cast<double>(table.rows.size()), 0.04);
}

Job gpt3() {
  Job job;
  job.model = *catalog::find_model(catalog::models(), "gpt-3");
  job.chip = *catalog::find_chip(catalog::chips(), "a100-sxm4-80gb");
  job.layout = {.gpus = 64, .tensor_par = 8, .pipeline_par = 8, .global_batch = 64, .seq_len = 2048};
  return job;
}

TEST(Memory, ShardingAndRecomputingOnlySave) {
  Job job = gpt3();
  job.layout.gpus = 256;
  double before = 1e30;
  for (const auto sharding : {Sharding::none, Sharding::zero1, Sharding::zero2}) {
    job.layout.sharding = sharding;
    EXPECT_LT(memory(job).total(), before);
    before = memory(job).total();
  }
  before = 1e30;
  for (const auto recompute : {Recompute::none, Recompute::selective, Recompute::full}) {
    job.layout.recompute = recompute;
    EXPECT_LT(memory(job).activations, before);
    before = memory(job).activations;
  }
}

TEST(Memory, InterleavingHoldsMoreActivations) {
  Job job = gpt3();
  const double plain = memory(job).activations;
  job.layout.schedule = Schedule::interleaved;
  job.layout.interleave = 3;
  // Narayanan et al., arXiv 2104.04473: 1 + (p - 1) / (p v) times as much on the first stage.
  EXPECT_NEAR(memory(job).activations / plain, 1 + 7.0 / (8 * 3), 0.02);
}

TEST(Memory, EveryParameterLiesSomewhere) {
  Job job = gpt3();
  const auto chunks = chunk_layers(job.model, job.layout);
  double total = 0, layers = 0;
  for (const auto& chunk : chunks) {
    const auto p = chunk_parameters(job, chunk);
    total += (p.dense + p.experts) * job.layout.tensor_par;
    layers += chunk.dense + chunk.experts;
  }
  EXPECT_EQ(layers, job.model.layers);
  // The tied table lies on the first and the last stage.
  EXPECT_NEAR(total, catalog::total_params(job.model) + job.model.vocab * job.model.hidden, 0.002 * total);
}

TEST(Memory, GigabytesOfMemoryAreBuiltInPowersOfTwo) {
  const auto* h100 = catalog::find_chip(catalog::chips(), "h100-sxm5-80gb");
  EXPECT_GT(capacity(*h100)->value, 80e9);
  EXPECT_LT(capacity(*h100)->value, 80 * units::kGibibyte.value);
}

}  // namespace
}  // namespace traincost::cost
