// The program as a user meets it: help, examples, stable outputs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include <support/program.hpp>

namespace traincost::test {
namespace {

// A stable output beside tests/golden/<name>.txt. TRAINCOST_UPDATE_GOLDEN=1 build/release/tests/app_test writes them.
void expect_golden(const std::string& name, const std::string& arguments) {
  const Result result = run(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string path = TRAINCOST_SOURCE_DIR "/tests/golden/" + name + ".txt";
  if (std::getenv("TRAINCOST_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << result.out;
  EXPECT_EQ(result.out, read_file(path)) << "traincost " << arguments << " differs from " << path;
}

TEST(App, ItsHelpIsKept) {
  expect_golden("help", "--help");
  for (const auto& verb : verbs()) expect_golden("help_" + verb, verb + " --help");
}

TEST(App, TheCatalogueIsKept) {
  expect_golden("chips", "chips");
  expect_golden("chip_h800", "chips --chip h800");
  expect_golden("chip_h800_json", "chips --chip h800 --format json");
  expect_golden("models", "models");
  expect_golden("model_deepseek_v3", "models --model deepseek-v3");
}

TEST(App, EveryExampleOfTheHelpRuns) {
  ASSERT_GE(verbs().size(), 2u);
  for (const auto& verb : verbs()) {
    const auto commands = examples(run(verb + " --help").out);
    EXPECT_FALSE(commands.empty()) << verb << " has no example";
    for (const auto& command : commands) {
      const Result result = run(command);
      EXPECT_EQ(result.exit_code, 0) << command << "\n" << result.err;
      const bool writes_a_file = command.find(" -o ") != std::string::npos;
      EXPECT_EQ(result.out.empty(), writes_a_file) << command;
    }
  }
}

TEST(App, EachFormatHoldsTheSameChips) {
  const auto chips = nlohmann::json::parse(run("chips --format json").out);
  const std::string csv = run("chips --format csv").out;
  EXPECT_EQ(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')), chips.size() + 1);
  for (const auto& chip : chips) EXPECT_NE(csv.find(chip.at("id").get<std::string>() + ","), std::string::npos);
}

}  // namespace
}  // namespace traincost::test
