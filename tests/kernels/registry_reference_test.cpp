#include <gtest/gtest.h>

#include <set>

#include <kernels/registry.hpp>

namespace traincost::kernels {
namespace {

TEST(Registry, EveryCaseHasShapesWithWorkAndOurOwnProvider) {
  std::set<std::string> names;
  for (const Case& c : cases()) {
    EXPECT_TRUE(names.insert(c.name).second) << c.name;
    ASSERT_FALSE(c.providers.empty()) << c.name;
    // Only libraries attend and multiply with one scale per tensor; all else has a kernel of ours first.
    const bool has_only_libraries = c.name == "gemm_fp8_tensor" || c.name.starts_with("attention");
    EXPECT_EQ(c.providers.front().name.starts_with("traincost"), !has_only_libraries) << c.name;
    EXPECT_GE(c.shapes.size(), 10U) << c.name;
    std::set<std::string> labels;
    for (const Shape& s : c.shapes) {
      EXPECT_TRUE(labels.insert(s.label).second) << c.name << ' ' << s.label;
      EXPECT_GT(s.bytes.value, 0) << c.name << ' ' << s.label;
      EXPECT_GE(s.flops.value, 0) << c.name << ' ' << s.label;
    }
  }
  for (const char* name : {"moe_gate",
                           "moe_index",
                           "moe_permute",
                           "moe_permute_quantize",
                           "moe_combine",
                           "moe_combine_backward",
                           "grouped_gemm",
                           "grouped_gemm_input_gradient",
                           "grouped_gemm_weight_gradient",
                           "quantize_1x128",
                           "quantize_128x128",
                           "mla_decode",
                           "mla_decode_fp8",
                           "gqa_decode",
                           "mla_attention",
                           "mla_attention_backward",
                           "gqa_attention",
                           "gqa_attention_backward",
                           "kv_cache_append",
                           "rope",
                           "copy",
                           "triad",
                           "launch",
                           "gemm",
                           "gemm_fp8",
                           "gemm_fp8_tensor",
                           "rms_norm",
                           "layer_norm",
                           "rms_norm_input_gradient"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Registry, CountsTheWorkOfDeepSeekV3) {
  for (const Case& c : cases())
    for (const Shape& s : c.shapes) {
      if (c.name == "grouped_gemm" && s.label == "deepseek-v3 8x4096 up and gate") {
        EXPECT_EQ(s.flops.value, 2.0 * 8 * 4096 * 4096 * 7168);
      }
      if (c.name == "moe_permute" && s.label == "deepseek-v3 tokens=4096 bf16") {
        EXPECT_EQ(s.bytes.value, 4096.0 * 7168 * 2 * 9 + 4096 * 8 * 4);
      }
      if (c.name == "mla_decode" && s.label == "b=128 s_q=1 s_kv=4096 h_q=128 h_kv=1") {
        EXPECT_EQ(s.flops.value, 2.0 * 128 * 128 * 4096 * (576 + 512));
        // 66 parts cut 65 of the 128 sequences at most in two: up to 130 partial results of 128 x 513 fp32, twice.
        const double whole = 128.0 * 4096 * 1152 + 128.0 * 128 * (1088 * 2 + 4) + 128.0 * 65 * 4;
        EXPECT_GT(s.bytes.value, whole);
        EXPECT_LE(s.bytes.value, whole + 130.0 * 128 * 513 * 4 * 2);
      }
    }
}

TEST(Registry, AnOperationHasTheWorkOfItsShape) {
  std::size_t operations = 0;
  for (const Case& c : cases())
    for (const Shape& s : c.shapes) {
      if (!s.op) continue;
      ++operations;
      EXPECT_EQ(work::flops(*s.op).value, s.flops.value) << c.name << ' ' << s.label;
      // Decoding counts its page table and partial results too.
      EXPECT_LE(work::bytes(*s.op, s.dtype).value, s.bytes.value) << c.name << ' ' << s.label;
      if (!std::holds_alternative<work::Decode>(*s.op)) {
        EXPECT_EQ(work::bytes(*s.op, s.dtype).value, s.bytes.value) << c.name << ' ' << s.label;
      }
    }
  EXPECT_GT(operations, 300U);
}

TEST(Registry, AToleranceJudgesADeviation) {
  const Tolerance t{.absolute = 1e-3, .relative = 1e-2, .cosine = 1e-5};
  EXPECT_TRUE(is_within({.absolute = 5e-4, .relative = 1}, t));
  EXPECT_TRUE(is_within({.absolute = 1, .relative = 5e-3}, t));
  EXPECT_FALSE(is_within({.absolute = 2e-3, .relative = 2e-2}, t));
  EXPECT_FALSE(is_within({.cosine = 1e-4}, t));
  EXPECT_FALSE(is_within({.is_exact = false}, t));
}

}  // namespace
}  // namespace traincost::kernels
