#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include <traincost/scenario/rule.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

TEST(Rules, EachHasACitationASourceAndSaneDates) {
  std::set<std::string> ids;
  for (const auto& rule : rules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id;
    EXPECT_FALSE(rule.name.empty() || rule.citation.empty() || rule.source.empty() || rule.confirmed.empty())
        << rule.id;
    EXPECT_FALSE(rule.outcome.empty() || rule.destinations.empty()) << rule.id;
    EXPECT_TRUE(rule.published.ok()) << rule.id;
    if (rule.ended) EXPECT_LT(rule.effective.value_or(*rule.ended), *rule.ended) << rule.id;
    EXPECT_TRUE(std::ranges::is_sorted(rule.phases, {}, &Phase::from)) << rule.id;
    if (rule.effect == Effect::control) EXPECT_FALSE(rule.class_name.empty() || rule.logic.empty()) << rule.id;
  }
  EXPECT_GE(rules().size(), 27U);
}

TEST(Rules, CoverControlsAndBills) {
  for (const auto* id : {"US-2022-3A090", "US-2023-3A090a", "US-2023-3A090b", "US-2024-HBM", "US-2025-DIFF",
                         "US-2025-DIFF-CAP", "US-2025-4E091", "US-2025-FOUNDRY", "US-2025-LETTER", "US-2025-15PCT",
                         "US-2026-CBC", "US-2026-TARIFF", "US-BILL-S3374", "US-EO14110", "EU-AIACT", "CA-SB53"})
    EXPECT_NE(find_rule(rules(), id), nullptr) << id;
}

TEST(Rules, TextAndEnforcementAreApart) {
  const auto& diffusion = *find_rule(rules(), "US-2025-DIFF");
  EXPECT_EQ(text_state(diffusion, date(2026, 1, 1)), TextState::in_force);
  EXPECT_EQ(enforcement(diffusion, date(2026, 1, 1)), Enforcement::not_enforced);
  EXPECT_FALSE(is_enforced(diffusion, date(2025, 3, 1)));  // before the day of compliance
  const auto& affiliates = *find_rule(rules(), "US-2025-AFF");
  EXPECT_EQ(enforcement(affiliates, date(2025, 10, 1)), Enforcement::enforced);
  EXPECT_EQ(enforcement(affiliates, date(2026, 1, 1)), Enforcement::suspended);
  EXPECT_EQ(enforcement(affiliates, date(2026, 11, 24)), Enforcement::uncertain);
  const auto& bill = *find_rule(rules(), "US-BILL-S3374");
  EXPECT_EQ(text_state(bill, date(2026, 1, 1)), TextState::bill);
  EXPECT_FALSE(is_enforced(bill, date(2026, 1, 1)));
}

Verdict training(std::string_view id, double ops, bool is_bio = false) {
  RuleFigures figures;
  figures[Figure::training_ops] = ops;
  figures[Figure::is_bio_sequence] = is_bio ? 1 : 0;
  return evaluate(*find_rule(rules(), id), figures, date(2026, 1, 1)).verdict;
}

TEST(Rules, ComputeThresholds) {
  EXPECT_EQ(training("EU-AIACT", 1e25), Verdict::no);    // above, not at
  EXPECT_EQ(training("EU-AIACT", 3.3e24), Verdict::no);  // DeepSeek-V3
  EXPECT_EQ(training("EU-AIACT", 2e25), Verdict::yes);
  EXPECT_EQ(training("US-EO14110", 5e25), Verdict::no);
  EXPECT_EQ(training("US-EO14110", 5e23, true), Verdict::yes);
  EXPECT_EQ(training("CA-SB53", 1.1e26), Verdict::yes);
}

TEST(Rules, FoundryPresumptionAndItsRebuttal) {
  const auto& rule = *find_rule(rules(), "US-2025-FOUNDRY");
  RuleFigures figures;
  figures[Figure::is_nonplanar] = 1;
  figures[Figure::is_authorized_designer] = 0;
  figures[Figure::is_packaged_outside_d5] = 1;
  figures[Figure::has_hbm] = 0;
  figures[Figure::transistors] = 33e9;
  EXPECT_EQ(evaluate(rule, figures, date(2026, 1, 1)).verdict, Verdict::yes);
  EXPECT_EQ(evaluate(rule, figures, date(2027, 1, 1)).verdict, Verdict::no);
  figures[Figure::transistors] = 29e9;
  EXPECT_EQ(evaluate(rule, figures, date(2026, 1, 1)).verdict, Verdict::no);
  figures[Figure::transistors].reset();
  EXPECT_EQ(evaluate(rule, figures, date(2026, 1, 1)).verdict, Verdict::unknown);
}

TEST(Rules, HighBandwidthMemoryAloneButNotCoPackaged) {
  const auto& rule = *find_rule(rules(), "US-2024-HBM");
  RuleFigures stack;
  stack[Figure::hbm_gb_per_s_per_mm2] = 5;
  stack[Figure::is_co_packaged] = 0;
  EXPECT_EQ(evaluate(rule, stack, date(2025, 1, 1)).verdict, Verdict::yes);
  stack[Figure::is_co_packaged] = 1;
  EXPECT_EQ(evaluate(rule, stack, date(2025, 1, 1)).verdict, Verdict::no);
  EXPECT_FALSE(is_enforced(rule, date(2024, 12, 15)));
  EXPECT_TRUE(is_enforced(rule, date(2024, 12, 31)));
}

TEST(Rules, AMissingFigureIsUnknownOnlyWhereItMatters) {
  const Logic logic{{{{Figure::tpp, Compare::at_least, 4800}}},
                    {{{Figure::tpp, Compare::at_least, 1600}, {Figure::performance_density, Compare::at_least, 5.92}}}};
  RuleFigures figures;
  figures[Figure::tpp] = 5000;
  EXPECT_EQ(evaluate(logic, figures, date(2024, 1, 1)).verdict, Verdict::yes);
  figures[Figure::tpp] = 1000;
  EXPECT_EQ(evaluate(logic, figures, date(2024, 1, 1)).verdict, Verdict::no);
  figures[Figure::tpp] = 2000;
  const auto open = evaluate(logic, figures, date(2024, 1, 1));
  EXPECT_EQ(open.verdict, Verdict::unknown);
  ASSERT_EQ(open.missing.size(), 1U);
  EXPECT_EQ(open.missing[0], Figure::performance_density);
}

TEST(Rules, ALogicReadsAsText) {
  EXPECT_EQ(to_string(find_rule(rules(), "US-2023-3A090a")->logic),
            "TPP >= 4800 or (data-centre and TPP >= 1600 and performance density >= 5.92)");
}

TEST(RuleFile, AWhatIfRule) {
  const auto rule = parse_rule(R"(
id = "memory-line"
effective = "2026-01-01"
places = ["china"]
[[any]]
is_datacenter = true
memory_gb_per_s_at_least = 2000
[[any]]
link_gb_per_s_above = 500
)",
                               "what-if.toml");
  EXPECT_EQ(to_string(rule.logic), "(memory GB/s >= 2000 and data-centre) or link GB/s > 500");
  EXPECT_EQ(rule.class_name, "memory-line");
  EXPECT_TRUE(is_enforced(rule, date(2026, 6, 1)));
  EXPECT_FALSE(is_enforced(rule, date(2025, 12, 31)));
}

TEST(RuleFile, RefusesInOneLine) {
  const auto message = [](const char* toml) -> std::string {
    try {
      parse_rule(toml, "r.toml");
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("id='x'\neffective='2026-01-01'\n[[any]]\ntpp_at_leest = 1\n").find("tpp_at_leest"),
            std::string::npos);
  EXPECT_NE(message("id='x'\neffective='2026-13-01'\n[[any]]\ntpp_at_least = 1\n").find("2026-13-01"),
            std::string::npos);
  EXPECT_NE(message("id='x'\n[[any]]\ntpp_at_least = 1\n").find("effective"), std::string::npos);
  EXPECT_NE(message("id='x'\neffective='2026-01-01'\n").find("any"), std::string::npos);
  EXPECT_NE(message("id='x'\neffective='2026-01-01'\n[[any]]\ntpp_at_least = -1\n").find("tpp_at_least"),
            std::string::npos);
  EXPECT_NE(message("id='x'\neffective='2026-01-01'\nplaces=['mars']\n[[any]]\ntpp_at_least = 1\n").find("mars"),
            std::string::npos);
}

TEST(Dates, ParseOrRefuse) {
  EXPECT_EQ(parse_date("2023-11-17", "x"), date(2023, 11, 17));
  EXPECT_EQ(parse_date("2025-10", "x"), date(2025, 10, 1));
  for (const auto* bad : {"", "2023-1-1", "2023-02-30", "17.11.2023", "2023-11-1x", "20231117"})
    EXPECT_THROW(parse_date(bad, "x"), InputError) << bad;
  EXPECT_NEAR(year_fraction(date(2025, 7, 2)), 2025.4986, 1e-3);
}

}  // namespace
}  // namespace traincost::scenario
