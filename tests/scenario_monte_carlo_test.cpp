#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include <traincost/scenario/monte_carlo.hpp>
#include <traincost/scenario/random.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(TRAINCOST_SOURCE_DIR) / "scenarios";
constexpr const char* kShipped[] = {"rules-as-they-were", "no-controls",       "full-enforcement",
                                    "double-smuggling",   "blackwell-exports", "domestic-only"};

Scenario shipped(const std::string& name) { return read_scenario(kFolder / (name + ".toml")); }
Plan planned(const Scenario& scenario) { return plan(scenario, catalog::chips(), data_sheet_rate(0.4)); }
constexpr std::size_t index(Metric metric) { return static_cast<std::size_t>(metric); }

std::vector<float> played(const Plan& plan, const Knobs& knobs) {
  const auto at = all_quarters(plan);
  std::vector<float> row(at.size() * kMetricCount);
  simulate(plan, knobs, at, row);
  return row;
}

// The known answers of the Random123 library.
TEST(Random, PhiloxKnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, NormalQuantileInvertsTheDistribution) {
  for (double z = -5; z <= 5; z += 0.25) EXPECT_NEAR(normal_quantile(normal_cdf(z)), z, 1e-6) << z;
  EXPECT_NEAR(normal_quantile(0.95), 1.6448536269514722, 1e-8);
}

TEST(Factor, HitsItsQuantilesInEveryScale) {
  constexpr double kZ = 1.6448536269514722;
  for (const auto& f : {Factor{.name = "a", .p5 = 10, .p50 = 140, .p95 = 600, .scale = Scale::log},
                        Factor{.name = "b", .p5 = 0.05, .p50 = 0.4, .p95 = 0.9, .scale = Scale::logit},
                        Factor{.name = "c", .p5 = -1, .p50 = 3, .p95 = 9, .scale = Scale::linear}}) {
    const auto s = spread(f);
    EXPECT_NEAR(value(s, -kZ), f.p5, 1e-9 * std::abs(f.p5)) << f.name;
    EXPECT_NEAR(value(s, 0), f.p50, 1e-9 * f.p50) << f.name;
    EXPECT_NEAR(value(s, kZ), f.p95, 1e-9 * f.p95) << f.name;
    EXPECT_LT(value(s, -2), value(s, -1));
  }
  EXPECT_EQ(value(spread({.name = "constant", .p5 = 7, .p50 = 7, .p95 = 7}), 2.0), 7);
}

TEST(Factor, RefusesWhatCannotBe) {
  EXPECT_THROW(spread({.name = "x", .p5 = 3, .p50 = 2, .p95 = 4}), InputError);
  EXPECT_THROW(spread({.name = "x", .p5 = 0, .p50 = 2, .p95 = 4}), InputError);
  EXPECT_THROW(spread({.name = "x", .p5 = 0.5, .p50 = 0.9, .p95 = 1.0, .scale = Scale::logit}), InputError);
  EXPECT_THROW(cholesky({{1, 0.9, -0.9}, {0.9, 1, 0.9}, {-0.9, 0.9, 1}}), InputError);
}

TEST(Draws, AreCorrelatedAsAsked) {
  const auto p = planned(shipped("rules-as-they-were"));
  constexpr int kDraws = 40000;
  double xy = 0, xx = 0, yy = 0, x1 = 0, y1 = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto knobs = draw(p, 7, static_cast<std::uint64_t>(i));
    // Both are log-scaled, so their logarithms are the (two-piece) normals; ranks would do as well.
    const double x = std::log(knobs[Knob::grey_chips_per_year]), y = std::log(knobs[Knob::grey_premium]);
    xy += x * y, xx += x * x, yy += y * y, x1 += x, y1 += y;
  }
  const double n = kDraws;
  const double rho = (xy / n - x1 / n * y1 / n) / std::sqrt((xx / n - x1 / n * x1 / n) * (yy / n - y1 / n * y1 / n));
  EXPECT_NEAR(rho, -0.4, 0.02);
}

TEST(MonteCarlo, TheSameAtAnyThreadCountAndOtherWithAnotherSeed) {
  const auto p = planned(shipped("rules-as-they-were"));
  const auto at = year_ends(p);
  const auto one = run(p, at, {.draws = 20000, .seed = 3, .threads = 1}, 0);
  for (const unsigned threads : {2U, 3U, 7U}) {
    const auto many = run(p, at, {.draws = 20000, .seed = 3, .threads = threads}, 0);
    for (std::size_t i = 0; i < at.size(); ++i)
      for (std::size_t m = 0; m < kMetricCount; ++m) {
        EXPECT_EQ(one.quantiles[i][m].p5, many.quantiles[i][m].p5);
        EXPECT_EQ(one.quantiles[i][m].p50, many.quantiles[i][m].p50);
        EXPECT_EQ(one.quantiles[i][m].p95, many.quantiles[i][m].p95);
      }
    EXPECT_EQ(one.only_unrestricted, many.only_unrestricted);
  }
  const auto other = run(p, at, {.draws = 20000, .seed = 4}, 0);
  EXPECT_NE(one.quantiles[5][index(Metric::lag_months)].p50, other.quantiles[5][index(Metric::lag_months)].p50);
}

TEST(MonteCarlo, WithoutSpreadItIsTheDeterministicAnswer) {
  auto scenario = shipped("rules-as-they-were");
  for (auto& f : scenario.factors) f->p5 = f->p95 = f->p50;
  const auto p = planned(scenario);
  const auto at = year_ends(p);
  const auto outcome = run(p, at, {.draws = 5000, .seed = 9, .threads = 2}, 0);
  const auto spread_out = planned(shipped("rules-as-they-were"));
  std::vector<float> medians_played(at.size() * kMetricCount);
  simulate(spread_out, medians(spread_out), at, medians_played);
  for (std::size_t i = 0; i < at.size(); ++i)
    for (std::size_t m = 0; m < kMetricCount; ++m) {
      EXPECT_EQ(outcome.quantiles[i][m].p5, outcome.quantiles[i][m].p95);
      EXPECT_EQ(outcome.quantiles[i][m].p50, outcome.at_medians[i][m]);
      EXPECT_NEAR(outcome.quantiles[i][m].p50, medians_played[i * kMetricCount + m],
                  1e-5 * std::abs(medians_played[i * kMetricCount + m]));
    }
}

// In every draw and quarter, not only in the quantiles.
void expect_never_better(const Plan& stricter, const Plan& looser, const char* what) {
  constexpr int kDraws = 300;
  constexpr float kRounding = 1e-4F;
  for (int i = 0; i < kDraws; ++i) {
    const auto a = played(stricter, draw(stricter, 5, static_cast<std::uint64_t>(i)));
    const auto b = played(looser, draw(looser, 5, static_cast<std::uint64_t>(i)));
    for (std::size_t row = 0; row < a.size(); row += kMetricCount) {
      const auto at = [&](const std::vector<float>& played, Metric metric) { return played[row + index(metric)]; };
      ASSERT_LE(at(a, Metric::fleet_job_h100), at(b, Metric::fleet_job_h100) * (1 + kRounding)) << what;
      ASSERT_GE(at(a, Metric::lag_months), at(b, Metric::lag_months) - 1e-3F) << what;
      ASSERT_LE(at(a, Metric::run_restricted), at(b, Metric::run_restricted) * (1 + kRounding)) << what;
      ASSERT_LE(at(a, Metric::share), at(b, Metric::share) * (1 + kRounding)) << what;
    }
  }
}

TEST(Properties, AStricterRuleNeverEnlargesAFleetOrShortensALag) {
  const auto base = shipped("rules-as-they-were");
  const auto base_plan = planned(base);
  auto free = base;
  free.rules_off = {"*"};
  expect_never_better(base_plan, planned(free), "rules against none");
  for (const double tpp : {1.0, 2000.0, 4000.0, 10000.0, 30000.0}) {
    auto stricter = base;
    stricter.extra_rules.push_back({.id = "x",
                                    .effective = date(2023, 1, 1),
                                    .rank = 10,
                                    .class_name = "x",
                                    .places = {Place::china},
                                    .logic = {{{{Figure::tpp, Compare::at_least, tpp}}}}});
    expect_never_better(planned(stricter), base_plan, "one more rule");
  }
  for (const auto* relaxed : {"US-2025-LETTER", "US-2023-3A090a", "US-2022-3A090"}) {
    auto looser = base;
    looser.rules_off = {relaxed};
    expect_never_better(base_plan, planned(looser), relaxed);
  }
  auto no_review = base;
  no_review.rules_off = {"US-2026-CBC"};
  expect_never_better(planned(no_review), base_plan, "without the review of 2026");
  expect_never_better(planned(shipped("domestic-only")), base_plan, "domestic only");
  expect_never_better(planned(shipped("full-enforcement")), base_plan, "full enforcement");
  expect_never_better(base_plan, planned(shipped("blackwell-exports")), "Blackwell exports");
}

TEST(Properties, MoreMoneyNeverBuysLess) {
  const auto base = shipped("rules-as-they-were");
  auto doubled = base;
  for (auto& row : doubled.spendings)
    if (row.buyer == Side::restricted) row.usd *= 2;
  expect_never_better(planned(base), planned(doubled), "twice the budget");
}

TEST(Shipped, AllAreReadAndRun) {
  for (const auto* name : kShipped) {
    const auto scenario = shipped(name);
    const auto p = planned(scenario);
    const auto outcome = run(p, year_ends(p), {.draws = 2000}, 0);
    EXPECT_NEAR(outcome.both + outcome.only_restricted + outcome.only_unrestricted + outcome.neither, 1, 1e-9) << name;
    EXPECT_TRUE(std::isfinite(outcome.quantiles.back()[index(Metric::lag_months)].p95)) << name;
    EXPECT_GT(assumptions(scenario).size(), 40U);
  }
}

// Chips bought to the end of 2025, none retired, against Epoch's counts (2026-04).
TEST(Shipped, TheFleetsOfThePastAreThoseCounted) {
  auto scenario = shipped("full-enforcement");
  const auto fix = [&](Knob knob, double x) {
    auto& f = scenario.factors[static_cast<std::size_t>(knob)];
    f->p5 = f->p50 = f->p95 = x;
  };
  fix(Knob::chip_life_years, 1e9);
  fix(Knob::domestic_chips_2025, 0);
  fix(Knob::licence_rate, 0);
  const auto p = planned(scenario);
  constexpr int kEndOf2025 = 15;
  const auto outcome = run(p, {kEndOf2025}, {.draws = 5000}, 0);
  const auto& legal = outcome.quantiles[0][index(Metric::fleet_h100e)];
  EXPECT_GE(legal.p50, 324871);
  EXPECT_LE(legal.p50, 496849);
  const auto& other = outcome.quantiles[0][index(Metric::unrestricted_h100e)];
  constexpr double kCounted = 13659258 - 401698 + 3812878 + 1856963;
  EXPECT_NEAR(other.p50 / kCounted, 1, 0.1);
}

class CheckpointFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("traincost_checkpoint_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "_" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST_F(CheckpointFile, AnInterruptedRunGoesOnToTheSameAnswer) {
  const auto p = planned(shipped("rules-as-they-were"));
  const auto at = year_ends(p);
  MonteCarlo how{.draws = 30000, .seed = 2, .threads = 2};
  const auto whole = run(p, at, how, 42);
  how.checkpoint = path_;
  int chunks = 0;
  how.progress = [&](std::uint64_t, std::uint64_t) {
    if (++chunks == 3) throw InputError("killed");
  };
  EXPECT_THROW(run(p, at, how, 42), InputError);
  how.progress = nullptr;
  const auto resumed = run(p, at, how, 42);
  EXPECT_LT(resumed.drawn_now, 30000U - 2 * 4096U + 1);
  EXPECT_EQ(resumed.quantiles[5][index(Metric::share)].p95, whole.quantiles[5][index(Metric::share)].p95);
  EXPECT_EQ(resumed.only_unrestricted, whole.only_unrestricted);
  EXPECT_EQ(run(p, at, how, 42).drawn_now, 0U);
  EXPECT_THROW(run(p, at, how, 43), InputError);  // another scenario
}

TEST_F(CheckpointFile, GarbageIsRefused) {
  std::ofstream(path_) << "not a checkpoint";
  const auto p = planned(shipped("no-controls"));
  EXPECT_THROW(run(p, year_ends(p), {.draws = 100, .checkpoint = path_}, 1), InputError);
}

TEST(ScenarioFile, RefusesInOneLine) {
  const auto file = std::filesystem::temp_directory_path() / "traincost_bad_scenario.toml";
  const auto message = [&](const std::string& toml) -> std::string {
    std::ofstream(file) << toml;
    try {
      read_scenario(file);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  const std::string extends = "extends = '" + (kFolder / "rules-as-they-were.toml").string() + "'\ntitle = 'x'\n";
  EXPECT_EQ(message(extends), "");
  EXPECT_NE(message(extends + "typo = 1\n").find("typo"), std::string::npos);
  EXPECT_NE(message(extends + "rules_off = ['US-1999']\n").find("rules_off"), std::string::npos);
  EXPECT_NE(message(extends + "[[factor]]\nname = 'luck'\nvalue = 1\nsource = 's'\n").find("luck"), std::string::npos);
  EXPECT_NE(message(extends + "[[factor]]\nname = 'run_days'\np5 = 3\np50 = 2\np95 = 4\nsource = 's'\n").find("order"),
            std::string::npos);
  EXPECT_NE(message("title = 'alone'\n").find("missing"), std::string::npos);
  EXPECT_NE(message("extends = 'traincost_bad_scenario.toml'\ntitle = 'x'\n").find("circle"), std::string::npos);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace traincost::scenario
