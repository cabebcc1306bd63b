// The commands on rules, scenarios and budgets as a user meets them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include <support/program.hpp>

namespace traincost::test {
namespace {

void expect_refused(const std::string& arguments, const std::string& word) {
  const Result result = run(arguments);
  EXPECT_EQ(result.exit_code, 2) << arguments << "\n" << result.err;
  EXPECT_EQ(result.out, "") << arguments;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << arguments << "\n" << result.err;
  EXPECT_NE(result.err.find(word), std::string::npos) << arguments << "\n" << result.err;
}

nlohmann::json json(const std::string& arguments) {
  const Result result = run(arguments + " --format json");
  EXPECT_EQ(result.exit_code, 0) << arguments << "\n" << result.err;
  return nlohmann::json::parse(result.out);
}

TEST(Classify, AnswersWithTheTestThatDecided) {
  const auto answer = json("classify --chip h20-96gb --as-of 2025-05-01");
  EXPECT_EQ(answer.at("classification").at("class"), "letter of April 2025");
  EXPECT_EQ(answer.at("classification").at("deciding_test"), "memory GB/s >= 1400");
  EXPECT_FALSE(answer.at("headroom").empty());
  EXPECT_FALSE(answer.at("assumptions").empty());
}

TEST(Classify, TakesARuleFromAFile) {
  const auto path =
      scratch_file("rule.toml", "id = 'line'\neffective = '2024-01-01'\n[[any]]\nmemory_gb_per_s_at_least = 800\n");
  const auto answer = json("classify --chip l20 --as-of 2024-06-01 --rule " + path);
  EXPECT_EQ(answer.at("classification").at("class"), "line");
}

TEST(Classify, AllChipsMakeATable) {
  const Result result = run("classify --all --as-of 2024-06-01 --format csv");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("rtx-6000d-china,refused"), std::string::npos);
  EXPECT_NE(result.out.find("h800-sxm5-80gb,3A090.a,US-2023-3A090a,TPP >= 4800"), std::string::npos);
}

TEST(Policy, BadInputIsRefusedInOneLine) {
  expect_refused("classify --chip rtx-6000d-china --as-of 2025-05-01", "TPP");
  expect_refused("classify --chip h20-96gb --as-of yesterday", "yesterday");
  expect_refused("classify --chip h20-96gb --rule US-1999", "US-1999");
  expect_refused("classify --chip h20-96gb --destination mars", "mars");
  expect_refused("classify --chip h20-96gb --die-area -3", "-3");
  expect_refused("classify --chip h20-96gb --tf32-bits 24", "24");
  expect_refused("classify", "--chip");
  expect_refused("rules --id nothing", "nothing");
  expect_refused("scenario nowhere.toml", "nowhere.toml");
  expect_refused("scenario scenarios/no-controls.toml --draws 0", "--draws");
  expect_refused("scenario scenarios/no-controls.toml --draws 1e15", "--draws");
  expect_refused("scenario scenarios/no-controls.toml --draws 10 --year 2099 --quiet", "2099");
  expect_refused("scenario scenarios/no-controls.toml --rates guess", "guess");
  expect_refused("scenario " + scratch_file("cut.toml", "title = 'x'\n[[factor]\n"), "not valid TOML");
  expect_refused("budget --chip h800-sxm5-80gb --gpus 100", "--days");
  expect_refused("budget --chip h800-sxm5-80gb --dollars nan", "--dollars");
  expect_refused("budget --chip h800-sxm5-80gb --dollars 1e6 --law moore", "moore");
  expect_refused("trend --progress hope", "hope");
  expect_refused("trend --older-usd 3 2 1", "out of order");
  expect_refused("trend --scenario scenarios/no-controls.toml", "--flop");
  expect_refused("rl --chips nochip", "nochip");
  expect_refused("compare --job sleep --model deepseek-v3 --chips h100 --gpus 8", "sleep");
}

TEST(Scenario, IsTheSameAtAnyThreadCount) {
  const std::string command = "scenario scenarios/rules-as-they-were.toml --draws 5000 --seed 4 --quiet --format csv";
  const Result one = run(command + " --threads 1");
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(one.out, run(command + " --threads 3").out);
  EXPECT_NE(one.out, run("scenario scenarios/rules-as-they-were.toml --draws 5000 --seed 5 --quiet --format csv").out);
}

TEST(Scenario, GoesOnFromItsCheckpoint) {
  const std::string command = "scenario scenarios/no-controls.toml --draws 9000 --quiet --format csv";
  const std::string kept = command + " --checkpoint " + scratch() + "/kept";
  const Result fresh = run(kept);
  EXPECT_EQ(fresh.exit_code, 0) << fresh.err;
  EXPECT_EQ(fresh.out, run(kept).out);
  EXPECT_EQ(fresh.out, run(command).out);
  expect_refused("scenario scenarios/no-controls.toml --draws 9001 --quiet --checkpoint " + scratch() + "/kept",
                 "kept");
}

TEST(Scenario, HasEveryFormAndPrintsWhatItAssumes) {
  const auto answer = json("scenario scenarios/full-enforcement.toml --draws 500 --quiet");
  for (const auto* key :
       {"scenario", "lag_months", "cost_ratio", "share", "run_restricted_flop", "tornado", "rates", "assumptions"})
    EXPECT_FALSE(answer.at(key).empty()) << key;
  EXPECT_EQ(answer.at("lag_months").size(), 8U);  // 2022 to 2029
  const auto quarterly = json("scenario scenarios/full-enforcement.toml --draws 500 --quiet --quarterly");
  EXPECT_EQ(quarterly.at("fleet_tpp").size(), 32U);
}

TEST(Budget, TwiceTheDollarsNeverBuyASmallerRun) {
  const auto tokens = [&](const std::string& dollars) {
    const auto answer = json("budget --chip h100-sxm5-80gb --usd-per-gpu-hour 2 --dollars " + dollars);
    return answer.at("runs").at(0).at("tokens").get<double>();
  };
  EXPECT_LT(tokens("1e6"), tokens("2e6"));
  EXPECT_LT(tokens("1e9"), tokens("2e9"));
}

}  // namespace
}  // namespace traincost::test
