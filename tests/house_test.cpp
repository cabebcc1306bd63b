// The rules of the house that a compiler does not know: stages build on earlier ones only, includes are written one
// way, and nothing unfinished is left behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace traincost {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kStages = {"units", "work",     "catalog", "measure", "calibrate",
                                          "cost",  "scenario", "report",  "app"};
// What kernels and bench may use of src.
const std::vector<std::string> kOpenToKernels = {"units", "work", "catalog", "measure"};

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_source(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".hpp" || extension == ".cpp" || extension == ".cu" || extension == ".cuh";
}

std::vector<fs::path> sources(const std::string& folder) {
  std::vector<fs::path> out;
  const fs::path root = fs::path(TRAINCOST_SOURCE_DIR) / folder;
  if (!fs::exists(root)) return out;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.is_regular_file() && is_source(entry.path())) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> includes(const fs::path& path) {
  static const std::regex kInclude(R"(#include\s+([<"][^>"]+[>"]))");
  const std::string text = text_of(path);
  std::vector<std::string> out;
  for (std::sregex_iterator it(text.begin(), text.end(), kInclude), end; it != end; ++it) out.push_back((*it)[1]);
  return out;
}

// "<traincost/cost/step.hpp>": "cost"; "" for others.
std::string stage_of(const std::string& include) {
  const std::string prefix = "<traincost/";
  if (include.rfind(prefix, 0) != 0) return "";
  return include.substr(prefix.size(), include.find('/', prefix.size()) - prefix.size());
}

std::ptrdiff_t rank(const std::string& stage) {
  return std::find(kStages.begin(), kStages.end(), stage) - kStages.begin();
}

TEST(House, AStageIncludesEarlierStagesOnly) {
  std::size_t checked = 0;
  for (const auto& path : sources("src/traincost")) {
    const std::string own = fs::relative(path, fs::path(TRAINCOST_SOURCE_DIR) / "src/traincost").begin()->string();
    ASSERT_LT(rank(own), std::ssize(kStages)) << path << ": '" << own << "' is no stage";
    for (const auto& include : includes(path)) {
      const std::string stage = stage_of(include);
      if (stage.empty()) continue;
      ++checked;
      EXPECT_LE(rank(stage), rank(own)) << path << " includes " << include;
    }
  }
  EXPECT_GT(checked, 20u);
}

TEST(House, HeadersOfTheLibraryAreIncludedInAngleBrackets) {
  for (const auto& path : sources("src"))
    for (const auto& include : includes(path)) EXPECT_EQ(include.front(), '<') << path << " includes " << include;
  for (const char* folder : {"tests", "bench", "kernels"})
    for (const auto& path : sources(folder))
      for (const auto& include : includes(path)) EXPECT_NE(include.rfind("\"traincost/", 0), 0u) << path << include;
}

TEST(House, TheCostModelNeverNeedsKernels) {
  for (const auto& path : sources("src"))
    for (const auto& include : includes(path)) EXPECT_EQ(include.find("kernels/"), std::string::npos) << path;
  for (const char* folder : {"kernels", "bench"})
    for (const auto& path : sources(folder))
      for (const auto& include : includes(path)) {
        const std::string stage = stage_of(include);
        // bench/cost times the cost model, no kernel.
        if (stage.empty() || path.string().find("/bench/cost/") != std::string::npos) continue;
        EXPECT_NE(std::find(kOpenToKernels.begin(), kOpenToKernels.end(), stage), kOpenToKernels.end())
            << path << " includes " << include;
      }
}

TEST(House, EveryHeaderIsGuarded) {
  for (const char* folder : {"src", "bench", "kernels", "tests"})
    for (const auto& path : sources(folder)) {
      const bool is_header = path.extension() == ".hpp" || path.extension() == ".cuh";
      if (is_header) EXPECT_NE(text_of(path).find("#pragma once"), std::string::npos) << path;
    }
}

TEST(House, OnlyTheProgramPrintsOrEnds) {
  static const std::regex kForbidden(R"(\b(std::cout|std::cerr|std::exit|abort\(|std::puts|fprintf\())");
  for (const auto& path : sources("src/traincost")) {
    if (path.string().find("/app/") != std::string::npos) continue;
    EXPECT_FALSE(std::regex_search(text_of(path), kForbidden)) << path;
  }
}

TEST(House, NothingUnfinishedIsLeftBehind) {
  // Put together here, so that this file does not hold them.
  const std::regex unfinished(std::string(R"(\b(TO)") + "DO|FIX" + "ME|XX" + R"(X)\b)");
  for (const char* folder : {"src", "bench", "kernels", "tests"})
    for (const auto& path : sources(folder)) EXPECT_FALSE(std::regex_search(text_of(path), unfinished)) << path;
}

}  // namespace
}  // namespace traincost
