#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include <traincost/cost/cache_cost.hpp>

namespace traincost::cost {
namespace {

const catalog::Model& deepseek() { return *catalog::find_model(catalog::models(), "deepseek-v3"); }
const catalog::Chip& chip(const char* name) { return *catalog::find_chip(catalog::chips(), name); }

CacheKind kind(const std::string& name) {
  for (auto& k : cache_kinds(deepseek()))
    if (k.name == name) return k;
  ADD_FAILURE() << name;
  return {};
}

TEST(CostCache, DeepSeekV3HasFourKindsAndLlamaTwo) {
  EXPECT_EQ(cache_kinds(deepseek()).size(), 4U);
  EXPECT_EQ(cache_kinds(*catalog::find_model(catalog::models(), "llama-3-70b")).size(), 2U);
  EXPECT_EQ(work::bytes_per_token(kind("mha").step.cache).value, 2 * 128 * 128 * 2);
  EXPECT_EQ(work::bytes_per_token(kind("gqa-8").step.cache).value, 2 * 8 * 128 * 2);
  EXPECT_EQ(work::bytes_per_token(kind("mla").step.cache).value, 1152);
  EXPECT_EQ(work::bytes_per_token(kind("mla-fp8").step.cache).value, 656);
}

// By hand: 146 GFLOP / 989.4 TFLOPS = 147.5 us; 640 MB / 3.35 TB/s = 191 us; 34.4 GB of multi-head cache 10.3 ms.
TEST(CostCache, FloorsOfAnH100AreThoseOfItsDataSheet) {
  const auto floor = [](const char* name) {
    return *decode_floor(decode_step(kind(name), 128, 4096), chip("h100-sxm5"));
  };
  EXPECT_NEAR(floor("mla").time.value, 190.9e-6, 0.5e-6);
  EXPECT_TRUE(floor("mla").is_memory_bound);
  EXPECT_NEAR(floor("mla-fp8").time.value, 147.6e-6, 0.5e-6);
  EXPECT_FALSE(floor("mla-fp8").is_memory_bound);
  EXPECT_NEAR(floor("mha").time.value, 10.26e-3, 0.02e-3);
  EXPECT_NEAR(floor("gqa-8").time.value, 643.5e-6, 2e-6);
}

TEST(CostCache, SequencesThatFitAreMemoryOverBytes) {
  const double per_sequence = 61.0 * 4096 * 1152;
  EXPECT_EQ(sequences_in_memory(kind("mla"), 61, 4096, chip("h800-sxm5-80gb")), std::floor(80e9 / per_sequence));
  EXPECT_EQ(sequences_in_memory(kind("mha"), 61, 131072, chip("h800-sxm5-80gb")), 0);
}

TEST(CostCache, WhatAChipDoesNotStateIsUnknown) {
  const catalog::Chip unknown;
  EXPECT_FALSE(decode_floor(decode_step(kind("mla"), 1, 1), unknown));
  EXPECT_FALSE(sequences_in_memory(kind("mla"), 61, 4096, unknown));
}

}  // namespace
}  // namespace traincost::cost
