// Bad input: one clear line on stderr, exit code 2, nothing on stdout.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <support/program.hpp>

namespace traincost::test {
namespace {

constexpr std::uintmax_t kGigabyte = 1'000'000'000;

void expect_refused(const std::string& arguments, const std::vector<std::string>& words) {
  const Result result = run(arguments);
  EXPECT_EQ(result.exit_code, 2) << arguments << "\n" << result.err;
  EXPECT_EQ(result.out, "") << arguments;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << arguments << "\n" << result.err;
  EXPECT_EQ(result.err.rfind("traincost: ", 0), 0u) << arguments << "\n" << result.err;
  EXPECT_LT(result.err.size(), 400u) << arguments;
  for (const auto& word : words) EXPECT_NE(result.err.find(word), std::string::npos) << arguments << "\n" << result.err;
}

// A file of `bytes` bytes that begins as `text`; the rest is a hole that reads as zeros.
std::string huge_file(const std::string& name, const std::string& text) {
  std::string path = scratch_file(name, text);
  std::filesystem::resize_file(path, kGigabyte);
  return path;
}

const std::string kRun = "estimate --model deepseek-v3 --gpus 2048 --tokens 14.8e12 ";

TEST(BadInput, UnknownNamesAreRefusedWithTheNearest) {
  expect_refused("", {"which command"});
  expect_refused("chip", {});
  expect_refused("chips --chip h8000", {"unknown chip 'h8000'", "nearest: h800"});
  expect_refused("models --model deepseek-v4", {"unknown model 'deepseek-v4'", "deepseek-v3"});
  expect_refused("chips --format xml", {"--format: 'xml'", "table, json or csv"});
  expect_refused("chips --colour red", {"--colour"});
}

TEST(BadInput, ARunThatCannotBeIsRefused) {
  expect_refused(kRun + "--chip h8000", {"unknown chip"});
  expect_refused("estimate --model nosuch --chip h800 --gpus 8 --tokens 1e9", {"unknown model"});
  expect_refused(kRun + "--chip h800 --cluster nosuch", {"unknown cluster"});
  expect_refused("estimate --model deepseek-v3 --chip h800 --gpus -8 --tokens 1e9", {"--gpus", "-8", "positive"});
  expect_refused("estimate --model deepseek-v3 --chip h800 --gpus nan --tokens 1e9", {"--gpus", "nan"});
  expect_refused("estimate --model deepseek-v3 --chip h800 --gpus 2.5 --tokens 1e9", {"whole"});
  expect_refused("estimate --model deepseek-v3 --chip h800 --gpus 8 --tokens inf", {"--tokens", "inf"});
  expect_refused("estimate --model deepseek-v3 --chip h800 --gpus 8 --tokens 1e12x", {"--tokens", "1e12x"});
  expect_refused(kRun + "--chip h800 --schedule magic", {"--schedule", "magic", "dual_pipe"});
  expect_refused(kRun + "--chip h800 --dtype fp3", {"--dtype", "fp3"});
  expect_refused(kRun + "--chip h800 --tp 3", {"layout"});
  expect_refused("compare --model deepseek-v3 --gpus 2048 --chips h800,nosuch", {"unknown chip 'nosuch'"});
}

TEST(BadInput, ASearchThatCannotBeIsRefused) {
  const std::string search = "search --model llama-3-8b --batch 64 --seq 2048 --cluster hgx-h100 --gpus ";
  expect_refused(search + "8,x", {"--gpus", "8,x", "whole numbers"});
  expect_refused(search + "0", {"--gpus"});
  expect_refused(search + "8 --objective speed", {"--objective", "speed", "energy"});
  expect_refused(search + "8 --space all", {"--space", "executions"});
  expect_refused("search --model llama-3-8b --gpus 8", {"--chip", "--cluster"});
  expect_refused("search --model deepseek-v3 --batch 64 --seq 4096 --cluster hgx-h800 --gpus 8", {"fits into memory"});
  expect_refused(search + "8 --state " + scratch_file("broken.json", "{"),
                 {"broken.json", "not the state of a search"});
  ASSERT_EQ(run(search + "8 --state other.json").exit_code, 0);
  expect_refused(search + "16 --state other.json", {"state belongs to another search"});
  expect_refused("ablate --model nosuch", {"unknown model"});
  expect_refused("ablate --model llama-1-7b", {"--chip"});
}

TEST(BadInput, ACatalogueFileIsCheckedKeyByKey) {
  const std::string chip =
      "id = \"x\"\nname = \"X\"\nvendor = \"V\"\narch = \"A\"\nsource = \"s\"\nconfirmed = \"yes\"\n";
  expect_refused("chips --chip-file " + scratch_file("key.toml", chip + "memory_byte = 1e9\n"),
                 {"key.toml", "memory_byte"});
  expect_refused("chips --chip-file " + scratch_file("negative.toml", chip + "memory_bytes = -1e9\n"),
                 {"negative.toml", "memory_bytes", "-1"});
  expect_refused("chips --chip-file " + scratch_file("nan.toml", chip + "memory_bytes = nan\n"),
                 {"nan.toml", "memory_bytes", "nan"});
  expect_refused("chips --chip-file " + scratch_file("source.toml", "id = \"x\"\nname = \"X\"\n"), {"source.toml"});
  expect_refused("chips --chip-file " + scratch_file("cut.toml", chip + "memory_bytes = "), {"cut.toml"});
  expect_refused("models --model-file " + scratch_file("cut_model.toml", "id = \"m\"\nlayers = [1, "), {"cut_model"});
  expect_refused(kRun + "--chip h800 --cluster-file " + scratch_file("cluster.toml", "id = \"c\"\nspeed = 3\n"),
                 {"cluster.toml"});
}

TEST(BadInput, TruncatedTablesAndCalibrationsAreRefused) {
  expect_refused(
      "validate --kernels " + scratch_file("cut.csv", "id,op_family,metric,unit,m\nk1,gemm_dense_bf16,\"lat"),
      {"cut.csv"});
  expect_refused(
      "validate --kernels " + scratch_file("nan.csv", "id,op_family,metric,unit,m\nk1,gemm,latency,us,nan\n"),
      {"nan.csv:2", "m"});
  expect_refused(
      "validate --kernels " + scratch_file("minus.csv", "id,op_family,metric,unit,m\nk1,gemm,latency,us,-5\n"),
      {"minus.csv:2", "m", "-5"});
  expect_refused("validate --kernels " + scratch_file("columns.csv", "id,name\n1,a\n"), {"columns.csv", "op_family"});
  expect_refused("validate --runs " + scratch_file("cut_runs.csv", "id,chip,\"gp"), {"cut_runs.csv"});
  expect_refused("validate --runs " + scratch_file("empty.csv", ""), {"empty.csv"});
  expect_refused("validate --kernels results/published/kernels.csv --calibration " +
                     scratch_file("cut.json", "{\"surfaces\": [{\"op\""),
                 {"cut.json"});
  expect_refused("validate", {"--runs, --kernels and --trace"});
}

TEST(BadInput, AGigabyteOfGarbageIsNotReadToItsEnd) {
  const std::string csv = huge_file("huge.csv", "id,op_family,metric,unit\n");
  const std::string toml = huge_file("huge.toml", "id = \"x\"\n");
  const std::string json = huge_file("huge.json", "{");
  expect_refused("validate --kernels " + csv, {"huge.csv"});
  expect_refused("validate --runs " + csv, {"huge.csv"});
  expect_refused("chips --chip-file " + toml, {"huge.toml"});
  expect_refused("models --model-file " + toml, {"huge.toml"});
  expect_refused(kRun + "--chip h800 --calibration " + json, {"huge.json"});
}

TEST(BadInput, FoldersAndMissingFilesAreRefused) {
  const std::vector<std::string> paths{"/", scratch(), "nosuchfile"};
  for (const auto& path : paths) {
    expect_refused("chips --chip-file " + path, {path});
    expect_refused("models --model-file " + path, {path});
    expect_refused("validate --kernels " + path, {path});
    expect_refused("validate --runs " + path, {path});
    std::string command = kRun;
    command += "--chip h800 --calibration ";
    command += path;
    expect_refused(command, {path});
  }
}

}  // namespace
}  // namespace traincost::test
