// The benchmark's programs from outside: traincost_bench without a card, and the one over the PTX executor.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <kernels/registry.hpp>

namespace traincost {
namespace {

namespace fs = std::filesystem;

struct Result {
  int exit_code = -1;
  std::string out;  // with what went to stderr
};

Result run(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  Result result;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) result.out.append(buffer.data(), n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
  return n;
}

class Simulated : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fs::remove(file());
    fs::remove(file() + ".partial");
    first = run(program() + " --limit 0.01 --out " + file());
  }
  static std::string program() { return TRAINCOST_BENCH_SIMULATED; }
  static std::string file() { return testing::TempDir() + "bench_simulated.json"; }

  static Result first;
};
Result Simulated::first;

TEST_F(Simulated, EveryKernelOfOursRunsAfterItsAnswerMatched) {
  ASSERT_EQ(first.exit_code, 0) << first.out;
  const auto text = read(file());
  kernels::use_tiny_sizes();
  for (const auto& c : kernels::cases())
    for (const auto& shape : c.shapes)
      for (const auto& provider : c.providers) {
        if (provider.why_not || provider.min_compute_capability > 80) continue;
        std::string key = c.name + "/" + provider.name + "/" + std::string(work::to_string(shape.dtype)) + "/" +
                          std::regex_replace(shape.label, std::regex(" "), "_") + "/hot";
        EXPECT_NE(text.find(key), std::string::npos) << key;
      }
  EXPECT_NE(first.out.find(" 0 failed, "), std::string::npos) << first.out;
}

TEST_F(Simulated, LibrariesAndHostSpinningBlockersAreListedAsSkipped) {
  for (const char* line :
       {"gemm_fp8_tensor/cublaslt/fp8/tiny_m=16/hot: skipped: this build has no cuBLAS",
        "gemm/cublas/bf16/tiny_m=16/hot: skipped: this build has no cuBLAS",
        "attention/cudnn/bf16/tiny_s=32/hot: skipped: this build has no cuDNN",
        "gqa_decode/cudnn/bf16/b=1_s_q=2_s_kv=128_h_q=8_h_kv=2/hot: skipped: this build has no cuDNN",
        "copy/traincost/bf16/bytes=4096/cold: skipped: its blocking kernel spins for the host",
        "copy/traincost/bf16/bytes=4096/graph: skipped: the executor has no CUDA graphs"})
    EXPECT_NE(first.out.find(line), std::string::npos) << line;
}

TEST_F(Simulated, IsFlaggedAndRefusedByCalibrate) {
  EXPECT_NE(read(file()).find("\"simulated\": \"true\""), std::string::npos);
  const auto refused = run(std::string(TRAINCOST_PROGRAM) + " calibrate " + file() + " -o /dev/null");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.out.find("simulated, expected a run on a real chip"), std::string::npos) << refused.out;
}

TEST_F(Simulated, AKilledRunIsTakenUpWhereItStopped) {
  const auto path = testing::TempDir() + "bench_killed.json";
  fs::remove(path);
  fs::remove(path + ".partial");
  run("timeout -s KILL 0.5 " + program() + " --limit 0.1 --filter 'gemm|norm' --out " + path);
  const auto before = read(path + ".partial");
  const auto kept = before.substr(0, before.rfind('\n') + 1);
  ASSERT_FALSE(fs::exists(path)) << "it was killed before its end";
  const auto second = run(program() + " --limit 0.01 --filter 'gemm|norm' --out " + path);
  EXPECT_EQ(second.exit_code, 0) << second.out;
  EXPECT_FALSE(fs::exists(path + ".partial"));
  const auto all = read(path);
  std::istringstream rows(kept);
  std::string row;
  std::getline(rows, row);  // the context
  while (std::getline(rows, row)) {
    const auto name = row.substr(0, row.find(','));
    EXPECT_EQ(count(all, name.substr(name.find(':') + 1)), 2U) << name;  // name and run_name
  }
  EXPECT_EQ(count(all, "\"run_type\""),
            count(read(file()), "\"name\": \"gemm") + count(read(file()), "\"name\": \"grouped_gemm") +
                count(read(file()), "\"name\": \"rms_norm") + count(read(file()), "\"name\": \"layer_norm"));
}

TEST_F(Simulated, GoogleBenchmarksCompareReadsIt) {
  const std::string compare = TRAINCOST_COMPARE_PY;
  if (compare.empty() || run("python3 -c 'import scipy'").exit_code != 0) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "compare.py or scipy is missing: scripts/setup.sh";
    GTEST_SKIP() << "compare.py (libbenchmark-tools) or scipy is missing";
  }
  const auto result = run("python3 " + compare + " --no-color benchmarks " + file() + " " + file());
  EXPECT_EQ(result.exit_code, 0) << result.out;
  const std::regex row(R"(\n\S+/iterations:1/manual_time +\+0\.0000 +\+0\.0000 )");
  EXPECT_EQ(std::distance(std::sregex_iterator(result.out.begin(), result.out.end(), row), std::sregex_iterator()),
            static_cast<std::ptrdiff_t>(count(read(file()), "\"run_type\"")))
      << result.out;
}

TEST(Bench, WithoutACardItSaysSoInOneLineAndExitsWith3) {
  if (run("nvidia-smi -L").exit_code == 0) GTEST_SKIP() << "there is a card";
  const auto result = run(std::string(TRAINCOST_BENCH) + " --quick --out /dev/null");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(count(result.out, "\n"), 1U) << result.out;
  EXPECT_EQ(result.out.find("traincost_bench: no NVIDIA GPU: "), 0U) << result.out;
}

TEST(Bench, ListsRowsWithFloorsOfAnyChipWithoutACard) {
  const auto all = run(std::string(TRAINCOST_BENCH) + " --list --chip h800-sxm5-80gb");
  EXPECT_EQ(all.exit_code, 0) << all.out;
  // 2 x 8192 x 24576 x 1536 FLOP at 989.4 TFLOP/s.
  EXPECT_NE(all.out.find("      625.1"), std::string::npos);
  for (const char* key : {"q_up_m=8192/cold", "gemm_fp8_tensor/cublaslt/fp8/",
                          "moe_gate/traincost/bf16/deepseek-v3_tokens=4096/graph", "copy/cuda_memcpy/"})
    EXPECT_NE(all.out.find(key), std::string::npos) << key;
  const auto quick =
      run(std::string(TRAINCOST_BENCH) + " --list --quick --chip h800-sxm5-80gb --filter '^gemm/.*/cold'");
  EXPECT_EQ(count(quick.out, "\n"), 2 + 3 * 3U) << quick.out;
  EXPECT_EQ(run(std::string(TRAINCOST_BENCH) + " --list --chip h1000").exit_code, 2);
}

TEST(Bench, ListsCudnnWithTheReasonWhyItIsSkipped) {
  const auto listed = run(std::string(TRAINCOST_BENCH) + " --list --chip h800-sxm5-80gb --filter /cudnn/").out;
  std::size_t attending = 0;
  for (const auto& c : kernels::cases())
    for (const auto& provider : c.providers) {
      if (provider.name != "cudnn") continue;
      ++attending;
      const auto why = provider.why_not();
      const auto at = listed.find(c.name + "/cudnn/");
      ASSERT_NE(at, std::string::npos) << c.name;
      const auto line = listed.substr(at, listed.find('\n', at) - at);
      EXPECT_EQ(line.find("skipped: " + why) != std::string::npos, !why.empty()) << line;
    }
  EXPECT_EQ(attending, 7U) << "gqa_decode; attention, mla_attention and gqa_attention with their backward passes";
}

}  // namespace
}  // namespace traincost
