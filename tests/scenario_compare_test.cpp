#include <gtest/gtest.h>

#include <cmath>

#include <traincost/scenario/job_compare.hpp>

namespace traincost::scenario {
namespace {

const catalog::Chip& chip(const char* id) { return *catalog::find_chip(catalog::chips(), id); }

JobSetting setting(JobKind kind) {
  return {.kind = kind, .model = *catalog::find_model(catalog::models(), "deepseek-v3"), .gpus = 2048};
}

double factor(const JobOnChip& row, std::string_view what) {
  for (const auto& p : row.penalties)
    if (p.what == what) return p.factor;
  return std::nan("");
}

TEST(Compare, ThePenaltiesMultiplyToTheWhole) {
  for (const auto kind : {JobKind::pretraining, JobKind::rollouts, JobKind::rl}) {
    const auto rows = compare(setting(kind), {chip("h100-sxm5-80gb"), chip("h800-sxm5-80gb"), chip("h20-96gb")},
                              calibrate::default_efficiency());
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].against_first.value_or(0), 1);
    for (const auto& row : rows) {
      if (row.penalties.empty()) continue;
      double product = 1;
      for (const auto& p : row.penalties) product *= p.factor;
      EXPECT_NEAR(product / row.against_first.value_or(0), 1, 1e-9) << to_string(kind) << " " << row.chip;
    }
  }
}

TEST(Compare, AnH800LosesByItsLinkAndAnH20ByItsArithmetic) {
  const auto rows =
      compare(setting(JobKind::pretraining), {chip("h100-sxm5-80gb"), chip("h800-sxm5-80gb"), chip("h20-96gb")},
              calibrate::default_efficiency());
  EXPECT_GT(factor(rows[1], "link"), 1.005);
  EXPECT_NEAR(factor(rows[1], "compute"), 1, 1e-9);
  EXPECT_NEAR(factor(rows[1], "memory bandwidth"), 1, 1e-9);
  EXPECT_GT(factor(rows[2], "compute"), 3);
  EXPECT_EQ(rows[2].limit, "compute");
}

TEST(Compare, MoreOfASpecNeverCostsRollouts) {
  const auto& efficiency = calibrate::default_efficiency();
  Machine machine{chip("h800-sxm5-80gb"), catalog::default_cluster(chip("h800-sxm5-80gb"))};
  const Machine donor{chip("h200-sxm-141gb"), catalog::default_cluster(chip("h200-sxm-141gb"))};
  const auto job = setting(JobKind::rollouts);
  double before = gpu_seconds_per_token(job, machine, efficiency).value_or(0);
  for (const auto spec : {Spec::memory_bandwidth, Spec::link, Spec::capacity}) {
    machine = with_spec(machine, spec, donor);
    const double now = gpu_seconds_per_token(job, machine, efficiency).value_or(1);
    EXPECT_LE(now, before * (1 + 1e-9)) << to_string(spec);
    before = now;
  }
}

TEST(Compare, SaysWhyThereIsNoAnswer) {
  const auto rows = compare(setting(JobKind::rollouts), {chip("h100-sxm5-80gb"), chip("rtx-6000d-china")},
                            calibrate::default_efficiency());
  EXPECT_FALSE(rows[1].gpu_seconds);
  EXPECT_FALSE(rows[1].why_not.empty());
}

}  // namespace
}  // namespace traincost::scenario
