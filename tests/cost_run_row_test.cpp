#include <gtest/gtest.h>

#include <algorithm>

#include <traincost/cost/interconnect.hpp>
#include <traincost/cost/run_row.hpp>
#include <traincost/cost/stack.hpp>
#include <traincost/cost/validate_runs.hpp>

namespace traincost::cost {
namespace {

double gigabytes(std::string_view text, double per_node = 8) {
  const auto parsed = parse_interconnect(text, per_node);
  return parsed ? parsed->value / 1e9 : -1;
}

TEST(Interconnect, BitsBytesNodesAndGpusAreToldApart) {
  EXPECT_DOUBLE_EQ(gigabytes("1600 Gb/s RoCE per node"), 25);
  EXPECT_DOUBLE_EQ(gigabytes("Selene HDR IB 8x200Gb/s per node"), 25);
  EXPECT_DOUBLE_EQ(gigabytes("8x50 GB/s IB per node, NVLink4"), 50);
  EXPECT_DOUBLE_EQ(gigabytes("400 Gb/s RDMA per GPU"), 50);
  EXPECT_DOUBLE_EQ(gigabytes("4x100Gb/s Omni-Path per node (unverified)"), 6.25);
  EXPECT_DOUBLE_EQ(gigabytes("4x400Gb/s NDR IB per node (4 GPUs)", 4), 50);
  EXPECT_DOUBLE_EQ(gigabytes("800 Gb/s per node inter, 150 GB/s NVLink assumed (their config)"), 12.5);
  EXPECT_DOUBLE_EQ(gigabytes("H800: NVLink 400 GB/s, 8x400Gb/s IB per node"), 50);
  EXPECT_FALSE(parse_interconnect("DGX, NDR/XDR IB", 8));
  EXPECT_FALSE(parse_interconnect("", 8));
}

TEST(Stack, FrameworkYearAndFeatures) {
  EXPECT_EQ(parse_stack("Composer + PyTorch FSDP (llm-foundry), 2023-24", "eager").year, 2024);
  EXPECT_EQ(parse_stack("Composer + PyTorch FSDP (llm-foundry), 2023-24", "eager").elementwise,
            Stack::Elementwise::eager);
  EXPECT_EQ(parse_stack("torchtitan (PyTorch FSDP2), 2024-25", "compiled").elementwise, Stack::Elementwise::compiled);
  EXPECT_FALSE(parse_stack("Megatron-LM, 2021", "").overlaps_data_par);
  EXPECT_TRUE(parse_stack("NeMo + Transformer Engine (MLPerf), 2024-25", "").overlaps_tensor_par);
  EXPECT_TRUE(parse_stack("Megatron-Core + Transformer Engine (Megatron-Bridge), 2025-26", "").overlaps_tensor_par);
  EXPECT_FALSE(parse_stack("Megatron-Core + Transformer Engine 2.11, 2026", "").overlaps_tensor_par) << "not asked";
  EXPECT_EQ(parse_stack("HAI-LLM with DualPipe, 2024", "node-limited-4 dualpipe").expert_nodes_limit, 4);
  EXPECT_EQ(parse_stack("", "").year, Stack{}.year);
}

TEST(Stack, RecipesAskForWhatAFrameworkLeavesOff) {
  const Stack recipe = parse_stack("Megatron-Core + Transformer Engine (Megatron-Bridge), 2025-26", "");
  EXPECT_EQ(recipe.exchange, Stack::Exchange::hybridep);
  EXPECT_EQ(recipe.expert_overlap, Stack::ExpertOverlap::network);
  EXPECT_EQ(recipe.graphs, Stack::Graphs::blackwell);
  EXPECT_TRUE(recipe.overlaps_data_par);
  EXPECT_FALSE(recipe.dispatches_fp8);
  const Stack plain = parse_stack("Megatron-Core + Transformer Engine 2.11, 2026", "");
  EXPECT_EQ(plain.exchange, Stack::Exchange::all_to_all);
  EXPECT_EQ(plain.expert_overlap, Stack::ExpertOverlap::none);
  EXPECT_EQ(plain.graphs, Stack::Graphs::none);
  EXPECT_FALSE(plain.overlaps_data_par);
  EXPECT_TRUE(parse_stack("HAI-LLM, 2024", "").dispatches_fp8);
  EXPECT_TRUE(parse_stack("Megatron-DeepSpeed, 2021-22", "").blocks_launches);
  EXPECT_FALSE(parse_stack("Megatron-DeepSpeed, 2022-23", "").blocks_launches);
}

constexpr std::string_view kHeader =
    "id,model,kind,layers,hidden,heads,ffn,ffn_type,vocab,seq_len,global_batch_sequences,chip,gpus,precision,tp,pp,"
    "micro_batch,recompute,interleave,reported_quantity,reported_value,seconds_per_iteration_derived,family\n";

RunRow one(const std::string& line) {
  return run_rows(measure::parse_csv(std::string(kHeader) + line, "rows.csv"), calibrate::default_efficiency()).at(0);
}

TEST(RunRow, IsAJobOfItsColumns) {
  const auto row =
      one("a,whatever,dense,96,12288,96,49152,gelu,51200,2048,1536,a100-sxm4-80gb,1024,bf16,8,16,1,full,1,"
          "seconds_per_iteration,32,32,f");
  ASSERT_TRUE(row.job) << row.skipped;
  EXPECT_EQ(row.job->layout.tensor_par, 8);
  EXPECT_EQ(row.job->layout.recompute, Recompute::full);
  EXPECT_EQ(*row.reported, 32);
  EXPECT_EQ(row.assumed.size(), 3u) << "sharding, kind of attention kernel, GPUs of a node";
}

TEST(RunRow, OmniPathGivesLessOfItsRate) {
  const auto network = [](const std::string& fabric) {
    const auto row =
        run_rows(measure::parse_csv("id,layers,hidden,heads,seq_len,global_batch_sequences,chip,gpus,"
                                    "gpus_per_node,interconnect\na,32,4096,32,2048,64,a100-sxm4-80gb,64,8," +
                                        fabric,
                                    "rows.csv"),
                 calibrate::default_efficiency())
            .at(0);
    return row.job.value().cluster.network_bytes_per_s.value / 1e9;
  };
  EXPECT_DOUBLE_EQ(network("4x100Gb/s IB per node"), 6.25);
  EXPECT_NEAR(0.8 * network("4x100Gb/s Omni-Path per node"), 4 * 40.5 / 8 / 8, 1e-9);  // four adapters for eight GPUs
}

TEST(RunRow, BlanksAreAssumedAndListed) {
  const auto row = one("a,x,dense,32,4096,32,,swiglu,,4096,512,h100-sxm5-80gb,64,,,,,,,seconds_per_iteration,1,1,f");
  ASSERT_TRUE(row.job) << row.skipped;
  for (const auto* name : {"vocab=", "ffn=", "precision=", "sharding=", "layout="})
    EXPECT_TRUE(std::ranges::any_of(row.assumed, [&](const auto& a) { return a.starts_with(name); })) << name;
}

TEST(RunRow, IsSkippedOnlyWithoutSizeChipOrBatch) {
  const std::string tail = "bf16,8,8,1,full,1,seconds_per_iteration,1,1,f";
  EXPECT_NE(one("a,x,dense,,,,,,,2048,64,h100-sxm5-80gb,64," + tail).skipped, "");
  EXPECT_NE(one("a,x,dense,32,4096,32,,,,2048,64,no-such-chip,64," + tail).skipped, "");
  EXPECT_NE(one("a,x,dense,32,4096,32,,,,2048,,h100-sxm5-80gb,64," + tail).skipped, "");
  EXPECT_EQ(one("a,x,dense,32,4096,32,,,,,64,h100-sxm5-80gb,64," + tail).skipped, "");
  EXPECT_NE(one("a,x,dense,-32,4096,32,,,,2048,64,h100-sxm5-80gb,64," + tail).skipped, "") << "negative layers";
}

TEST(RunRow, NameAndResultDoNotPredict) {
  const std::string head = "dense,32,4096,32,16384,gelu,51200,2048,64,h100-sxm5-80gb,64,bf16,8,2,1,full,1,";
  const auto predict = [](const RunRow& row) {
    return predicted(row, calibrate::default_efficiency().on(row.job->chip), default_constants()).value;
  };
  EXPECT_EQ(predict(one("a,DeepSeek-V3," + head + "seconds_per_iteration,1,1,f")),
            predict(one("b,GPT-3," + head + "seconds_per_iteration,777,9,g")));
}

TEST(RunRow, ExpressesThePublishedRuns) {
  const auto rows =
      run_rows(measure::read_csv(TRAINCOST_SOURCE_DIR "/results/published/runs.csv"), calibrate::default_efficiency());
  const auto expressed = std::ranges::count_if(rows, [](const auto& row) { return row.job.has_value(); });
  EXPECT_GE(expressed, 0.9 * static_cast<double>(rows.size()));
}

}  // namespace
}  // namespace traincost::cost
