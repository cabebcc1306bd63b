#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <traincost/measure/google_benchmark.hpp>
#include <traincost/measure/row_file.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

template <class Read>
std::string message(Read read) {
  try {
    read();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string csv_message(const std::string& text) {
  return message([&] { parse_rows(text, "r.csv"); });
}

TEST(RowFile, ReadsEveryOperation) {
  const auto rows = parse_rows(
      "op,m,n,k,b,s_q,s_kv,h_q,h_kv,d_qk,d_v,is_causal,pass,values_in_keys,kv_dtype,rows,num_experts,hidden,width,"
      "bytes,kind,gpus,tokens,topk,is_combine,dtype,chip,provider,latency_s,mode,source\n"
      "gemm,1,2,3,,,,,,,,,,,,,,,,,,,,,,bf16,h100-sxm5-80gb,cublas,1e-5,cold,x\n"
      "attention,,,,1,4096,8192,32,8,128,128,0,backward,,,,,,,,,,,,,fp8,h100-sxm5-80gb,fa3,1e-3,hot,x\n"
      "decode,,,,64,1,4096,128,1,576,512,,,1,fp8,,,,,,,,,,,bf16,h100-sxm5-80gb,,1e-4,graph,x\n"
      "moe_mlp,,,,,,,,,,,,,,,100,4,7168,2048,,,,,,,fp8_block,h100-sxm5-80gb,,1e-4,,x\n"
      "stream,,,,,,,,,,,,,,,,,,,1e9,,,,,,bf16,h100-sxm5-80gb,,1e-3,,x\n"
      "quantize,8,,16,,,,,,,,,,,,,,,,,,,,,,fp8,h100-sxm5-80gb,,1e-5,,x\n"
      "collective,,,,,,,,,,,,,,,,,,,1024,all_to_all,8,,,,bf16,h100-sxm5-80gb,nccl,1e-5,,x\n"
      "moe_exchange,,,,,,,,,,,,,,,,256,7168,,,,8,4096,8,1,bf16,h100-sxm5-80gb,deepep,1e-4,,x\n",
      "r.csv");
  ASSERT_EQ(rows.size(), 8U);
  EXPECT_EQ(rows[0].op, work::Op(work::Gemm{.m = 1, .n = 2, .k = 3}));
  EXPECT_EQ(rows[0].mode, Mode::cold);
  EXPECT_EQ(rows[0].latency.value, 1e-5);
  EXPECT_EQ(std::get<work::Attention>(rows[1].op).pass, work::Pass::backward);
  EXPECT_FALSE(std::get<work::Attention>(rows[1].op).is_causal);
  EXPECT_EQ(rows[1].dtype, work::Dtype::fp8);
  EXPECT_TRUE(std::get<work::Decode>(rows[2].op).values_in_keys);
  EXPECT_EQ(std::get<work::Decode>(rows[2].op).kv_dtype, work::Dtype::fp8);
  EXPECT_EQ(std::get<work::MoeMlp>(rows[3].op).imbalance, 1);
  EXPECT_EQ(rows[3].mode, Mode::unstated);
  EXPECT_EQ(std::get<work::Collective>(rows[6].op).kind, work::CollectiveKind::all_to_all);
  EXPECT_TRUE(std::get<work::MoeExchange>(rows[7].op).is_combine);
}

TEST(RowFile, NamesFileLineFieldAndValue) {
  const std::string header = "op,m,n,k,dtype,chip,latency_s\n";
  EXPECT_EQ(csv_message(header + "gemm,1,2,x,bf16,c,1\n"),
            "r.csv:2: k = \"x\", expected a finite number that is not negative");
  EXPECT_EQ(csv_message(header + "gemm,1,2,-3,bf16,c,1\n"),
            "r.csv:2: k = \"-3\", expected a finite number that is not negative");
  EXPECT_EQ(csv_message(header + "gemm,1,2,3,bf17,c,1\n"), "r.csv:2: dtype = \"bf17\", expected an element format");
  EXPECT_EQ(csv_message(header + "gem,1,2,3,bf16,c,1\n"), "r.csv:2: op = \"gem\", expected the name of an operation");
  EXPECT_EQ(csv_message(header + "gemm,1,2,3,bf16,c,nan\n"),
            "r.csv:2: latency_s = \"nan\", expected a finite number of seconds");
  EXPECT_EQ(csv_message(header + "gemm,1,2,3,bf16,,1\n"), "r.csv:2: chip = \"\", expected a value");
  EXPECT_EQ(csv_message(header + "gemm,1,2\n"), "r.csv:2: 3 fields, expected 7 as in the header");
}

constexpr const char* kBenchmark = R"({
  "context": {"chip": "h100-sxm5-80gb", "commit": "abc"},
  "benchmarks": [
    {"name": "gemm/1", "run_type": "iteration", "real_time": 12.5, "time_unit": "us", "m": 64, "n": 128, "k": 256,
     "label": "op=gemm dtype=fp8 provider=cublaslt mode=cold"},
    {"name": "gemm/1_mean", "run_type": "aggregate", "real_time": 12.5, "time_unit": "us"}]})";

TEST(GoogleBenchmark, ReadsOneRowPerRun) {
  const auto rows = parse_google_benchmark(kBenchmark, "b.json");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].op, work::Op(work::Gemm{.m = 64, .n = 128, .k = 256}));
  EXPECT_DOUBLE_EQ(rows[0].latency.value, 12.5e-6);
  EXPECT_EQ(rows[0].chip, "h100-sxm5-80gb");
  EXPECT_EQ(rows[0].provider, "cublaslt");
  EXPECT_EQ(rows[0].mode, Mode::cold);
}

TEST(GoogleBenchmark, RefusesSimulatedTruncatedAndIncomplete) {
  std::string simulated = kBenchmark;
  simulated.replace(simulated.find("\"m\""), 3, "\"simulated\": true, \"m\"");
  EXPECT_EQ(message([&] { parse_google_benchmark(simulated, "b.json"); }),
            "b.json: gemm/1: simulated, expected a run on a real chip");
  const std::string text = kBenchmark;
  EXPECT_THROW(parse_google_benchmark(text.substr(0, text.size() / 2), "b.json"), InputError);
  std::string no_k = kBenchmark;
  no_k.replace(no_k.find("\"k\""), 3, "\"j\"");
  EXPECT_EQ(message([&] { parse_google_benchmark(no_k, "b.json"); }), "b.json: gemm/1: k = \"\", expected a value");
}

TEST(RowFiles, AFolderListsItsFilesSorted) {
  const std::string folder = ::testing::TempDir() + "rows_folder";
  std::filesystem::create_directories(folder);
  for (const char* name : {"/b.csv", "/a.csv", "/c.txt"}) std::ofstream(folder + name) << "x\n";
  EXPECT_EQ(row_files(folder), (std::vector<std::string>{folder + "/a.csv", folder + "/b.csv"}));
  EXPECT_EQ(row_files("some.csv"), std::vector<std::string>{"some.csv"});
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace traincost::measure
