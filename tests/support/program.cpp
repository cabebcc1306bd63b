#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include <support/program.hpp>

namespace traincost::test {
namespace fs = std::filesystem;
namespace {

// Timings as a plain H100 would give them, for the examples of `calibrate`: 5 us, 70 % of the peak, 80 % of the memory.
std::string sample_rows() {
  std::string text = "op,m,n,k,dtype,chip,provider,latency_s,mode,source\n";
  for (const auto& [n, k] : {std::pair{4096, 4096}, {8192, 8192}, {7168, 2048}, {2048, 7168}, {14336, 4096}})
    for (int m = 1; m <= 16384; m *= 4) {
      const double flops = 2.0 * m * n * k, bytes = 2.0 * (1.0 * m * k + 1.0 * n * k + 1.0 * m * n);
      const double seconds = 5e-6 + std::max(flops / (0.7 * 989.4e12), bytes / (0.8 * 3.35e12));
      std::ostringstream row;
      row << "gemm," << m << ',' << n << ',' << k << ",bf16,h100-sxm5-80gb,sample," << seconds << ",cold,sample\n";
      text += row.str();
    }
  return text;
}

// A file of our benchmark with one product, for the example of `calibrate --refresh`.
constexpr const char* kMeasured = R"({"context": {"chip": "h100-sxm5-80gb"}, "benchmarks": [
  {"name": "gemm", "run_type": "iteration", "real_time": 250, "time_unit": "us", "m": 4096, "n": 4096, "k": 4096,
   "label": "op=gemm case=gemm dtype=bf16 provider=sample mode=cold"}]})";

/// Made on first use, gone when the process ends.
struct Scratch {
  fs::path path = fs::temp_directory_path() / ("traincost_test_" + std::to_string(getpid()));
  Scratch() {
    fs::create_directories(path);
    // Copies: an example may write there.
    for (const char* name : {"results", "scenarios"})
      fs::copy(fs::path(TRAINCOST_SOURCE_DIR) / name, path / name, fs::copy_options::recursive);
    fs::create_directories(path / "build/rows");
    std::ofstream(path / "build/rows/sample.csv", std::ios::binary) << sample_rows();
    fs::create_directories(path / "results/measured/h100-sxm5-80gb");
    std::ofstream(path / "results/measured/h100-sxm5-80gb/sample.json", std::ios::binary) << kMeasured;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

const fs::path& folder() {
  static const Scratch kScratch;
  return kScratch.path;
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string scratch() { return folder().string(); }

std::string scratch_file(const std::string& name, const std::string& text) {
  const fs::path path = folder() / name;
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

Result run(const std::string& arguments) {
  const std::string out = (folder() / "stdout").string(), err = (folder() / "stderr").string();
  const std::string command =
      "cd '" + scratch() + "' && '" TRAINCOST_PROGRAM "' " + arguments + " >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

std::vector<std::string> examples(const std::string& help) {
  std::vector<std::string> out;
  std::istringstream lines(help.substr(std::min(help.find("Examples:"), help.size())));
  const std::string program = "traincost ";
  for (std::string line; std::getline(lines, line);)
    if (trimmed(line).rfind(program, 0) == 0) out.push_back(trimmed(line).substr(program.size()));
  return out;
}

std::vector<std::string> verbs() {
  const std::string help = run("--help").out;
  std::vector<std::string> out;
  std::istringstream lines(help.substr(std::min(help.find("Subcommands:"), help.size())));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string verb;
    // Continuation lines of a description are indented further.
    if (words >> verb && line.rfind("  ", 0) == 0 && line[2] != ' ') out.push_back(verb);
  }
  return out;
}

}  // namespace traincost::test
