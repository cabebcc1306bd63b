#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include <traincost/cost/constants.hpp>
#include <traincost/scenario/job_rate.hpp>
#include <traincost/scenario/rl.hpp>

namespace traincost::scenario {
namespace {

Server server(const char* chip_id, catalog::AttentionKind kind = catalog::AttentionKind::mla) {
  const auto& chip = *catalog::find_chip(catalog::chips(), chip_id);
  return {.model = with_attention(*catalog::find_model(catalog::models(), "deepseek-v3"), kind),
          .chip = chip,
          .cluster = catalog::default_cluster(chip),
          .expert_gpus = 64};
}

calibrate::ChipEfficiency on(const Server& s) { return calibrate::default_efficiency().on(s.chip); }

TEST(Cache, BytesPerToken) {
  constexpr double kLayers = 61, kBf16 = 2;
  EXPECT_EQ(cache_bytes_per_token(server("h800-sxm5-80gb").model).value, (512 + 64) * kBf16 * kLayers);
  EXPECT_EQ(cache_bytes_per_token(server("h800-sxm5-80gb", catalog::AttentionKind::gqa).model).value,
            8 * 256 * kBf16 * kLayers);
  EXPECT_EQ(cache_bytes_per_token(server("h800-sxm5-80gb", catalog::AttentionKind::mha).model).value,
            128 * 256 * kBf16 * kLayers);
}

TEST(Cache, TheCompressedOneHoldsMoreSequences) {
  const double mla = sequences_that_fit(server("h800-sxm5-80gb"), 8192);
  const double gqa = sequences_that_fit(server("h800-sxm5-80gb", catalog::AttentionKind::gqa), 8192);
  const double mha = sequences_that_fit(server("h800-sxm5-80gb", catalog::AttentionKind::mha), 8192);
  EXPECT_GT(mla, 3 * gqa);
  EXPECT_GT(gqa, 10 * mha);
}

TEST(Decode, MoreToDoNeverTakesLess) {
  const auto s = server("h800-sxm5-80gb");
  const auto efficiency = on(s);
  double before = 0;
  for (const double batch : {1.0, 4.0, 16.0, 64.0}) {
    const auto step = decode_step(s, {.busiest = batch, .mean = batch, .context = 8192, .s_q = 1}, efficiency);
    double parts = 0;
    for (const auto& part : step.parts) parts += part.seconds.value;
    EXPECT_NEAR(parts, step.seconds.value, 1e-12);
    EXPECT_GT(step.seconds.value, before);
    before = step.seconds.value;
  }
  const auto time = [&](double context) {
    return decode_step(s, {.busiest = 8, .mean = 8, .context = context, .s_q = 1}, efficiency).seconds.value;
  };
  EXPECT_LT(time(1000), time(10000));
  EXPECT_LT(time(10000), time(60000));
}

TEST(Decode, ProductsInFp8CastTheirInput) {
  const auto s = server("h800-sxm5-80gb");
  const auto efficiency = on(s);
  const auto& m = s.model;
  const auto layer = [&](double width) {
    const auto product = [&](double n, double k) {
      return (efficiency.time(work::Gemm{16, n, k}, work::Dtype::fp8_block).seconds +
              efficiency.time(work::Quantize{16, k}, work::Dtype::fp8_block).seconds)
          .value;
    };
    return product(2 * width, m.hidden) + product(m.hidden, width);
  };
  const double moe = catalog::moe_layers(m);
  const double alone = (m.layers - moe) * layer(m.ffn) + moe * layer(m.shared_experts * m.expert_ffn);
  const auto step = decode_step(s, {.busiest = 16, .mean = 16, .context = 8192, .s_q = 1}, efficiency);
  const auto part = std::ranges::find(step.parts, std::string("feed-forward"), &DecodePart::name);
  ASSERT_NE(part, step.parts.end());
  EXPECT_NEAR(part->seconds.value / (alone * cost::default_constants().compute_slowdown), 1, 1e-9);
}

TEST(Lengths, AreCutOffAtTheLimit) {
  const Lengths lengths{.mean = 6000, .log_sigma = 0.8, .limit = 32768};
  EXPECT_NEAR(share_longer(lengths, 6000 * std::exp(-0.32)), 0.5, 1e-9);  // the median of a lognormal
  EXPECT_GT(share_longer(lengths, 32767), 0);
  EXPECT_EQ(share_longer(lengths, 32768), 0);
}

TEST(R1, TheAccount) {
  const R1Account r1;
  EXPECT_NEAR(r1.zero_gpu_hours(), 101e3, 1e3);
  EXPECT_NEAR(r1.r1_gpu_hours(), 41e3, 1e3);
  EXPECT_EQ(r1.total_gpu_hours(), 147336);
  EXPECT_EQ(r1.usd(), 294672);
}

TEST(R1, ZeroFromItsStatedConfigurationWithinThirtyPercent) {
  const auto s = server("h800-sxm5-80gb");
  const auto rate = cost_job_rate({.model = "deepseek-v3", .gpus = 512}).rate(s.chip).value_or(0);
  const auto cost = rl_cost(r1_zero(), s, rate, on(s));
  ASSERT_TRUE(cost.fits);
  EXPECT_NEAR(cost.gpu_hours / R1Account{}.zero_gpu_hours(), 1, 0.30);
  EXPECT_NEAR(cost.rollout_share + cost.update_share + cost.other_share, 1, 1e-9);
  const auto open = open_range(r1_zero(), s, rate, on(s));
  EXPECT_LE(open.low, cost.gpu_hours);
  EXPECT_GE(open.high, R1Account{}.zero_gpu_hours());
}

TEST(R1, UncompressedHeadsDoNotFit) {
  const auto s = server("h800-sxm5-80gb", catalog::AttentionKind::mha);
  EXPECT_FALSE(rl_cost(r1_zero(), s, 3e14, on(s)).fits);
}

TEST(JobRate, IsPositiveForEveryShippedChipAndSaysWhereItComesFrom) {
  const auto scenario = read_scenario(TRAINCOST_SOURCE_DIR "/scenarios/rules-as-they-were.toml");
  const auto rate = cost_job_rate(scenario.job);
  for (const auto& supply : scenario.supplies) {
    const auto* chip = catalog::find_chip(catalog::chips(), supply.chip);
    ASSERT_NE(chip, nullptr) << supply.chip;
    EXPECT_GT(rate.rate(*chip).value_or(0), 1e13) << supply.chip;
    EXPECT_FALSE(rate.origin(*chip).empty());
  }
  // The link of an H800 costs time, the arithmetic of an H20 more.
  const auto of = [&](const char* id) { return rate.rate(*catalog::find_chip(catalog::chips(), id)).value_or(0); };
  EXPECT_LT(of("h800-sxm5-80gb"), of("h100-sxm5-80gb"));
  EXPECT_LT(of("h20-96gb"), 0.5 * of("h800-sxm5-80gb"));
}

}  // namespace
}  // namespace traincost::scenario
