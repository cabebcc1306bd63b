#include <gtest/gtest.h>

#include <traincost/measure/published.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

constexpr const char* kHeader =
    "kernel,op_family,m,n,k,tokens,hidden,heads,seq,batch,dtype,gpu,chip,d_qk,d_v,kv_heads,causal,s_q,pass,metric,"
    "value,unit,source_path\n";

TEST(PublishedReader, RatesBecomeLatencies) {
  const auto p = parse_published(std::string(kHeader) +
                                     "DeepGEMM fp8 dense,gemm_dense_fp8,4096,7168,2048,,,,,,fp8_e4m3->bf16,,"
                                     "h800-sxm5-80gb,,,,,,,throughput,1000,TFLOPS,s\n"
                                     "DeepGEMM fp8 dense,gemm_dense_fp8,4096,7168,2048,,,,,,fp8,,h800-sxm5-80gb,,,,,,,"
                                     "latency,120,us,s\n",
                                 "k.csv");
  ASSERT_EQ(p.rows.size(), 2U);
  EXPECT_EQ(p.rows[0].dtype, work::Dtype::fp8_block);
  EXPECT_NEAR(p.rows[0].latency.value, 2.0 * 4096 * 7168 * 2048 / 1e15, 1e-12);
  EXPECT_DOUBLE_EQ(p.rows[1].latency.value, 120e-6);
}

TEST(PublishedReader, PassesOfOneBenchmarkShareTheProvider) {
  auto line = [&](const std::string& kernel, const std::string& family, const std::string& pass) {
    return kernel + "," + family + ",,,,,,64,4096,1,bfloat16,,h200-sxm-141gb,128,128,8,1,," + pass +
           ",throughput,500,TFLOPS,s\n";
  };
  const auto p =
      parse_published(kHeader + line("cudnn SDPA fwd hd 128", "gqa_prefill_fwd", "fwd") +
                          line("cudnn SDPA bwd hd 128", "gqa_prefill_bwd", "bwd") +
                          line("FlashAttention-2 attention fwd+bwd headdim 128 causal=0", "mha_fwd_bwd", "fwd+bwd") +
                          line("PyTorch attention fwd headdim 128", "mha_fwd", "fwd"),
                      "k.csv");
  ASSERT_EQ(p.rows.size(), 2U);  // attention that materialises its scores is another operation
  EXPECT_EQ(p.rows[0].provider, p.rows[1].provider);
  const auto& forward = std::get<work::Attention>(p.rows[0].op);
  const auto& backward = std::get<work::Attention>(p.rows[1].op);
  EXPECT_EQ(backward.pass, work::Pass::backward);
  EXPECT_NEAR(p.rows[1].latency / p.rows[0].latency, work::flops(backward) / work::flops(forward), 1e-12);
  ASSERT_EQ(p.forward_and_backward.size(), 1U);
  EXPECT_FALSE(std::get<work::Attention>(p.forward_and_backward[0].op).is_causal);  // the name beats the column
}

TEST(PublishedReader, ANormsBackwardSumsItsWeightsGradientInASecondKernel) {
  const auto line = [](const std::string& pass) {
    return "cudnn rms_norm " + pass +
           ",elementwise_norm,,,,2048,4096,,,,bfloat16,,h200-sxm-141gb,,,,,,,memory_bandwidth,1000,GB/s,s\n";
  };
  const auto p = parse_published(kHeader + line("fwd") + line("bwd"), "k.csv");
  ASSERT_EQ(p.rows.size(), 2U);
  EXPECT_EQ(std::get<work::Stream>(p.rows[0].op), (work::Stream{.bytes = 2.0 * 2048 * 4096 * 2, .kernels = 1}));
  EXPECT_EQ(std::get<work::Stream>(p.rows[1].op), (work::Stream{.bytes = 3.0 * 2048 * 4096 * 2, .kernels = 2}));
}

TEST(PublishedReader, LeavesOutWhatHasNoShapeAndKeepsUnknownChips) {
  const auto p =
      parse_published(std::string(kHeader) +
                          "BabelStream Triad,memory_bandwidth_dram,,,,,,,,,,Some GPU,,,,,,,,memory_bandwidth,"
                          "1000,GB/s,s\n"
                          "gpu-stream read,memory_bandwidth_dram,,,,,,,,,,,h100-sxm5-80gb,,,,,,,"
                          "memory_bandwidth,1000,GB/s,s\n"
                          "x,gemm_dense_bf16,,,,,,,,,bf16,,h100-sxm5-80gb,,,,,,,throughput,700,TFLOPS,s\n",
                      "k.csv");
  ASSERT_EQ(p.rows.size(), 1U);
  EXPECT_FALSE(p.rows[0].is_resolved);
  EXPECT_EQ(p.rows[0].chip, "Some GPU");
  EXPECT_THROW(parse_published("a,b\n1,2\n", "k.csv"), InputError);
}

}  // namespace
}  // namespace traincost::measure
