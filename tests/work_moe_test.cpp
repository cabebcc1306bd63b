#include <gtest/gtest.h>

#include <traincost/work/moe.hpp>

namespace traincost::work {
namespace {

// DeepSeek-V3 (arXiv 2412.19437, section 4.2) with 4096 tokens.
constexpr double kTokens = 4096, kHidden = 7168, kTopk = 8, kExperts = 256;

TEST(WorkMoe, GateReadsItsLogitsOnceAndWritesEightBytesPerSlot) {
  const MoeGate gate{.tokens = kTokens, .num_experts = kExperts, .topk = kTopk};
  EXPECT_EQ(bytes(gate).value, 4096 * 256 * 4 + 256 * 8 + 4096 * 8 * 8);
  EXPECT_EQ(bytes(MoeGate{kTokens, kExperts, kTopk, Dtype::bf16}).value, 4096 * 256 * 2 + 256 * 8 + 4096 * 8 * 8);
  EXPECT_EQ(flops(gate).value, 10.0 * 4096 * 256);
}

TEST(WorkMoe, PermuteReadsATokenOnceAndWritesItTopkTimes) {
  const MoePermute permute{.tokens = kTokens, .hidden = kHidden, .topk = kTopk};
  EXPECT_EQ(bytes(permute).value, 4096.0 * 7168 * 2 * 9 + 4096 * 8 * 4);
  const MoePermute fp8{kTokens, kHidden, kTopk, Dtype::fp8_block};
  EXPECT_EQ(bytes(fp8).value, 4096.0 * (7168 + 56 * 4) * 9 + 4096 * 8 * 4);
}

TEST(WorkMoe, CombineMovesWhatPermuteMovesAndItsWeights) {
  const MoeCombine combine{.tokens = kTokens, .hidden = kHidden, .topk = kTopk};
  EXPECT_EQ(bytes(combine).value, 4096.0 * 7168 * 2 * 9 + 4096 * 8 * 8);
  MoeCombine unweighted = combine;
  unweighted.is_weighted = false;
  EXPECT_EQ(bytes(unweighted).value, bytes(MoePermute{kTokens, kHidden, kTopk}).value);
  MoeCombine backward = combine;
  backward.pass = Pass::backward;
  EXPECT_EQ(bytes(backward).value, 4096.0 * 7168 * 2 * 17 + 4096 * 8 * 12);
  EXPECT_EQ(flops(combine).value, 2.0 * 4096 * 8 * 7168);
}

TEST(WorkMoe, GroupedGemmIsAGemmWithMoreWeights) {
  // DeepSeek-V3's gate and up projections, eight experts of 4096 rows.
  const GroupedGemm grouped{.rows = 8 * 4096, .num_experts = 8, .n = 4096, .k = 7168};
  const Gemm one{.m = 4096, .n = 4096, .k = 7168};
  EXPECT_EQ(flops(grouped).value, 8 * flops(Op{one}).value);
  EXPECT_EQ(bytes(grouped).value, 8 * bytes(Op{one}, Dtype::bf16).value);
  const GroupedGemmWeightGradient gradient{.rows = 8 * 4096, .num_experts = 8, .n = 4096, .k = 7168};
  EXPECT_EQ(flops(gradient).value, flops(grouped).value);
  EXPECT_EQ(bytes(gradient).value, 8 * 4096.0 * (4096 + 7168) * 2 + 8.0 * 4096 * 7168 * 4);
}

}  // namespace
}  // namespace traincost::work
