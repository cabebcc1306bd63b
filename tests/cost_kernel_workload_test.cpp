#include <gtest/gtest.h>

#include <map>

#include <traincost/cost/kernel_workload.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

Workload of(const KernelRow& row) { return workload(row); }

TEST(KernelWorkload, AGemmCountsTwoFlopsPerProduct) {
  const auto w = of({.op_family = "gemm_dense_fp8", .dtype = "fp8_e4m3->bf16", .m = 64, .n = 2112, .k = 7168});
  EXPECT_EQ(w.counted_flops, 2.0 * 64 * 2112 * 7168);
  EXPECT_TRUE(w.assumed.empty());
}

// cudnn-frontend's table: 50.456 ms and 1743 TFLOPS forward, 212.546 ms and 1076 TFLOPS backward, batch 2, 128 heads,
// 32,768 tokens, causal.
TEST(KernelWorkload, AttentionCountsAsItsAuthorsDo) {
  KernelRow row{.op_family = "mla_prefill_dense_fwd", .dtype = "bfloat16", .pass = "fwd"};
  row.heads = row.kv_heads = 128;
  row.seq = 32768;
  row.batch = 2;
  row.d_qk = 192;
  row.d_v = 128;
  row.causal = 1;
  EXPECT_NEAR(of(row).counted_flops / 50.456e-3 / 1743e12, 1, 0.001);
  row.op_family = "mla_prefill_dense_bwd";
  row.pass = "bwd";
  EXPECT_NEAR(of(row).counted_flops / 212.546e-3 / 1076e12, 1, 0.001);
}

TEST(KernelWorkload, TheKernelsNameKnowsTheMaskBest) {
  KernelRow row{.kernel = "attention fwd headdim 64 causal=0", .op_family = "mha_fwd", .dtype = "fp16", .pass = "fwd"};
  row.causal = 1;
  EXPECT_FALSE(std::get<work::Attention>(of(row).ops.at(0).op).is_causal);
}

// DeepEP's low-latency table: 77 us and 98 GB/s for 128 tokens of 7,168 fp8 values to 8 experts.
TEST(KernelWorkload, LowLatencyDispatchCountsEverySelection) {
  KernelRow row{.kernel = "DeepEP V1 low-latency dispatch EP8",
                .op_family = "moe_all_to_all",
                .metric = "rdma_bandwidth",
                .dtype = "fp8"};
  row.tokens = 128;
  row.hidden = 7168;
  row.topk = 8;
  const auto w = of(row);
  EXPECT_NEAR(w.counted_bytes / 77e-6 / 98e9, 1, 0.02);
  EXPECT_EQ(std::get<work::MoeExchange>(w.ops.at(0).op).gpus, 8);
}

TEST(KernelWorkload, GroupsOfGpusAreReadFromTheName) {
  const auto gpus = [](const std::string& kernel) {
    return std::get<work::MoeExchange>(of({.kernel = kernel, .op_family = "moe_all_to_all"}).ops.at(0).op).gpus;
  };
  EXPECT_EQ(gpus("DeepEP V2 dispatch EP 8x4"), 32);
  EXPECT_EQ(gpus("DeepEP V1 normal Internode combine EP64"), 64);
  EXPECT_EQ(gpus("HybridEP dispatch 24 ranks 16 SMs (torch API)"), 24);
  EXPECT_EQ(gpus("NCCL-EP ep_bench LL combine 32 GPUs (kernel time)"), 32);
  EXPECT_EQ(gpus("DeepEP test_internode best dispatch 4 nodes RoCE"), 32);
}

// nccl-tests: bus bandwidth of an all-reduce = 2 (n - 1) / n x size / time.
TEST(KernelWorkload, BusBandwidthHasNcclsFactor) {
  KernelRow row{.kernel = "NCCL all-reduce 8 GPUs in-node, message 64MB", .op_family = "collective_allreduce"};
  EXPECT_NEAR(of(row).counted_bytes, 64e6 * 2 * 7 / 8, 1);
  row.op_family = "collective_reduce-scatter";
  EXPECT_NEAR(of(row).counted_bytes, 64e6 * 7 / 8, 1);
}

TEST(KernelWorkload, DefaultsAreNamed) {
  const auto w = of({.op_family = "mha_fwd", .dtype = "fp16", .seq = 4096, .d_qk = 128, .d_v = 128, .causal = 1});
  EXPECT_EQ(w.assumed, (std::vector<std::string>{"batch=2", "heads=16"}));
}

// The acceptance asks for four rows in five; what is left out is listed by reason.
TEST(KernelWorkload, MostPublishedRowsCanBeExpressed) {
  const auto table = measure::read_csv(TRAINCOST_SOURCE_DIR "/results/published/kernels.csv");
  std::map<std::string, int> skipped;
  int count = 0;
  for (std::size_t at = 0; at < table.rows.size(); ++at) {
    const auto w = workload(kernel_row(table, at));
    if (w.skipped.empty()) {
      EXPECT_FALSE(w.ops.empty()) << at;
      EXPECT_GT(w.counted_flops + w.counted_bytes, 0) << at;
    } else {
      ++count;
      ++skipped[w.skipped];
    }
  }
  EXPECT_LT(count, 0.05 * static_cast<double>(table.rows.size()));
  for (const auto& [reason, rows] : skipped) std::printf("%d rows: %s\n", rows, reason.c_str());
}

TEST(KernelWorkload, ANegativeShapeIsRefused) {
  const auto table = measure::parse_csv("id,op_family,metric,unit,m\nk1,gemm_dense_bf16,latency,us,-4\n", "x.csv");
  EXPECT_THROW(kernel_row(table, 0), InputError);
}

}  // namespace
}  // namespace traincost::cost
