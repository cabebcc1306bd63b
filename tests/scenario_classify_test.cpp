#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/scenario/classify.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

const catalog::Chip& chip(std::string_view id) {
  const auto* found = catalog::find_chip(catalog::chips(), id);
  if (!found) throw InputError("no chip " + std::string{id});
  return *found;
}

Classification on(std::string_view id, Date as_of, Question question = {}) {
  question.as_of = as_of;
  return classify(chip(id), question, rules());
}

// The list control as it stands since November 2023; the letters of April 2025 are not part of it.
constexpr Date kListOnly = date(2025, 3, 31);

struct VendorRow {
  const char *chip, *eccn, *expected;
};
// NVIDIA's export list of 2026-07-31.
constexpr VendorRow kVendor[] = {
    {"a100-pcie-40gb", "4A090.a", "3A090.a"},
    {"a100-pcie-80gb", "4A090.a", "3A090.a"},
    {"a100-sxm4-40gb", "4A090.a", "3A090.a"},
    {"a100-sxm4-80gb", "4A090.a", "3A090.a"},
    {"a800-pcie-80gb", "4A090.a", "3A090.a"},
    {"a800-sxm4-80gb", "4A090.a", "3A090.a"},
    {"a30", "4A090.b", "3A090.b"},
    {"a40", "4A090.b", "3A090.b"},
    {"l4", "4A090.a", "3A090.a"},
    {"l20", "4A994.l", "not controlled"},
    {"l40", "4A090.b", "3A090.b"},
    {"l40s", "4A090.a", "3A090.a"},
    {"rtx-6000-ada", "4A090.a", "3A090.a"},
    {"h100-pcie-80gb", "4A090.a", "3A090.a"},
    {"h100-sxm5-80gb", "4A090.a", "3A090.a"},
    {"h100-nvl-94gb", "4A090.a", "3A090.a"},
    {"h800-pcie-80gb", "4A090.a", "3A090.a"},
    {"h800-sxm5-80gb", "4A090.a", "3A090.a"},
    {"h20-96gb", "4A994.l", "not controlled"},
    {"h200-sxm-141gb", "4A090.a", "3A090.a"},
    {"h200-nvl-141gb", "4A090.a", "3A090.a"},
    {"gh200-96gb", "4A003.z.1", "3A090.a"},
    {"rtx-5090", "4A090.a", "3A090.a"},
    {"rtx-5080", "4A994.l", "not controlled"},
    {"rtx-pro-6000-blackwell-ws", "4A090.a", "3A090.a"},
    {"rtx-pro-6000-blackwell-server", "4A090.a", "3A090.a"},
    {"rtx-pro-6000-blackwell-max-q", "4A090.a", "3A090.a"},
    {"rtx-pro-4500-blackwell-server", "4A090.a", "3A090.a"},
    {"b200-sxm", "5A002.z.1", "3A090.a"},
    {"gb200", "5A002.z.1", "3A090.a"},
    {"b300-sxm", "5A002.z.1", "3A090.a"},
    {"gb300", "5A002.z.1", "3A090.a"},
};

TEST(Classify, EqualsTheVendorsOwnClassOnEveryChipThatHasOneAndATpp) {
  ASSERT_EQ(std::size(kVendor), 32);
  for (const auto& row : kVendor) {
    EXPECT_EQ(chip(row.chip).published_eccn, row.eccn) << row.chip;
    const auto answer = on(row.chip, kListOnly);
    EXPECT_FALSE(answer.refusal) << *answer.refusal;
    EXPECT_EQ(answer.class_name, row.expected) << row.chip << ": " << answer.deciding_test;
  }
}

struct DatedRow {
  const char* chip;
  Date as_of;
  const char* expected;
};
constexpr DatedRow kDated[] = {
    {"a100-sxm4-80gb", date(2022, 10, 6), "not controlled"},
    {"a100-sxm4-80gb", date(2022, 10, 7), "3A090 (2022)"},
    {"h100-sxm5-80gb", date(2023, 6, 1), "3A090 (2022)"},
    {"a800-sxm4-80gb", date(2023, 11, 16), "not controlled"},
    {"a800-sxm4-80gb", date(2023, 11, 17), "3A090.a"},
    {"a800-pcie-80gb", date(2023, 11, 16), "not controlled"},
    {"a800-pcie-80gb", date(2023, 11, 17), "3A090.a"},
    {"h800-sxm5-80gb", date(2023, 11, 16), "not controlled"},
    {"h800-sxm5-80gb", date(2023, 11, 17), "3A090.a"},
    {"h800-pcie-80gb", date(2023, 11, 16), "not controlled"},
    {"h800-pcie-80gb", date(2023, 11, 17), "3A090.a"},
    {"h20-96gb", date(2024, 1, 1), "not controlled"},
    {"h20-96gb", date(2024, 12, 31), "not controlled"},
    {"l20", date(2024, 1, 1), "not controlled"},
    {"l20", date(2024, 12, 31), "not controlled"},
    {"h20-96gb", date(2025, 4, 8), "not controlled"},
    {"h20-96gb", date(2025, 5, 1), "letter of April 2025"},
    {"l20", date(2025, 5, 1), "not controlled"},
    {"rtx-5090d-v2", date(2025, 9, 1), "not controlled"},     // 1,344 GB/s, 1,472 with PCIe
    {"rtx-5090d", date(2025, 9, 1), "letter of April 2025"},  // 1,792 GB/s
    {"rtx-4090", date(2024, 1, 1), "3A090.a"},
    {"rtx-4090d", date(2024, 1, 1), "not controlled"},
    {"tpu-v5p", date(2024, 1, 1), "3A090.a"},  // decided by its TPP: the unknown die area does not matter
};

TEST(Classify, FollowsTheDates) {
  for (const auto& row : kDated) {
    const auto answer = on(row.chip, row.as_of);
    EXPECT_FALSE(answer.refusal) << *answer.refusal;
    EXPECT_EQ(answer.class_name, row.expected) << row.chip << " on " << to_string(row.as_of);
    EXPECT_EQ(answer.is_licence_needed, answer.class_name != kNotControlled);
  }
}

TEST(Classify, RefusesWhereANeededFigureIsMissing) {
  struct Row {
    const char *chip, *missing;
  };
  constexpr Row kRows[] = {{"rtx-6000d-china", "TPP"},
                           {"mi308x", "TPP"},
                           {"tpu-v4", "performance density"},
                           {"trainium1", "performance density"}};
  for (const auto& row : kRows) {
    const auto answer = on(row.chip, kListOnly);
    ASSERT_TRUE(answer.refusal) << row.chip;
    EXPECT_NE(answer.refusal->find(row.missing), std::string::npos) << *answer.refusal;
    EXPECT_TRUE(answer.class_name.empty());
  }
}

TEST(Classify, ComputesTppWithinAPercentOfTheVendorsMostly) {
  int rows = 0, within_one = 0, within_six = 0;
  for (const auto& c : catalog::chips()) {
    // The rates of the four RTX PRO rows were computed from the vendor's TPP: they prove nothing.
    if (!c.published_tpp || c.id.starts_with("rtx-pro-")) continue;
    const double tpp = rule_figures(c)[Figure::tpp].value_or(0);
    const double error = std::abs(tpp / *c.published_tpp - 1);
    ++rows;
    within_one += error <= 0.01;
    within_six += error <= 0.06;
  }
  EXPECT_EQ(rows, 24);
  EXPECT_GE(within_one, 18);
  EXPECT_GE(within_six, 23);
}

TEST(Classify, ComputedFiguresAgreeWithTheCatalogue) {
  for (const auto& c : catalog::chips()) {
    const auto figures = rule_figures(c);
    if (c.tpp) EXPECT_NEAR(figures[Figure::tpp].value_or(0) / *c.tpp, 1, 1e-3) << c.id;
    EXPECT_EQ(c.tpp.has_value(), figures[Figure::tpp].has_value()) << c.id;
  }
}

TEST(Classify, CountsAllInputsAndOutputsBothWays) {
  struct Row {
    const char* chip;
    double io, link;
  };
  constexpr Row kRows[] = {{"a100-sxm4-80gb", 664, 600},
                           {"a800-sxm4-80gb", 464, 400},
                           {"h800-sxm5-80gb", 528, 400},
                           {"h100-sxm5-80gb", 1028, 900},
                           {"l20", 64, 0},
                           {"gb200", 2700, 1800}};
  for (const auto& row : kRows) {
    const auto figures = rule_figures(chip(row.chip));
    EXPECT_NEAR(figures[Figure::io_gb_per_s].value_or(-1), row.io, 1e-6) << row.chip;
    EXPECT_NEAR(figures[Figure::link_gb_per_s].value_or(-1), row.link, 1e-6) << row.chip;
  }
}

double headroom_to(const Classification& answer, std::string_view rule, Figure figure) {
  for (const auto& line : answer.headroom)
    if (line.rule == rule && line.figure == figure) return line.below_line.value_or(std::nan(""));
  return std::nan("");
}

TEST(Classify, Mi325xPassesTheReviewOf2026By81Tpp) {
  const auto answer = on("mi325x", date(2026, 2, 1));
  EXPECT_EQ(answer.class_name, "3A090.a");
  EXPECT_EQ(answer.outcome.substr(0, 12), "case-by-case");
  EXPECT_NEAR(headroom_to(answer, "US-2026-CBC", Figure::tpp), 80.8, 0.1);
  EXPECT_NEAR(headroom_to(answer, "US-2026-CBC", Figure::memory_gb_per_s), 500, 1e-6);
}

TEST(Classify, TheReviewOf2026) {
  struct Row {
    const char* chip;
    Permission expected;
  };
  constexpr Row kRows[] = {{"h100-sxm5-80gb", Permission::case_by_case},
                           {"h200-sxm-141gb", Permission::case_by_case},
                           {"mi300x", Permission::case_by_case},
                           {"mi325x", Permission::case_by_case},
                           {"b30a", Permission::denied},
                           {"b200-sxm", Permission::denied},
                           {"h20-96gb", Permission::case_by_case},
                           {"l20", Permission::free}};
  for (const auto& row : kRows)
    EXPECT_EQ(permission(chip(row.chip), {.as_of = date(2026, 2, 1)}, rules()), row.expected) << row.chip;
  EXPECT_EQ(permission(chip("h200-sxm-141gb"), {.as_of = date(2025, 12, 31)}, rules()), Permission::denied);
  EXPECT_EQ(permission(chip("h20-96gb"), {.as_of = date(2025, 9, 1)}, rules()), Permission::licence);
  EXPECT_EQ(permission(chip("h20-96gb"), {.as_of = date(2025, 5, 1)}, rules()), Permission::denied);
}

const Sensitivity* reading(const Classification& answer, std::string_view name) {
  for (const auto& s : answer.sensitivities)
    if (s.reading == name) return &s;
  return nullptr;
}

TEST(Classify, FlagsWhereTheReadingOfTf32Decides) {
  struct Row {
    const char* chip;
    bool flips;
  };
  // Three-valued: both Trainium are refused as long as their die area is open only if TPP does not decide.
  constexpr Row kRows[] = {{"trainium2", true},       {"trainium3", true}, {"h100-sxm5-80gb", false},
                           {"a100-sxm4-80gb", false}, {"b200-sxm", false}, {"gb300", false},
                           {"gaudi3", false}};
  for (const auto& row : kRows) {
    const auto answer = on(row.chip, date(2026, 2, 1));
    const auto* s = reading(answer, "TF32 as 32 bits");
    ASSERT_NE(s, nullptr) << row.chip;
    EXPECT_EQ(s->flips, row.flips) << row.chip << ": " << s->what;
  }
  EXPECT_EQ(reading(on("trainium2", date(2026, 2, 1)), "TF32 as 32 bits")->tpp, "21344.0");
}

TEST(Classify, FlagsWhereTheVendorsTppDecidesTheTariff) {
  const auto answer = on("h200-nvl-141gb", date(2026, 2, 1));
  const auto* s = reading(answer, "the vendor's TPP");
  ASSERT_NE(s, nullptr);
  EXPECT_TRUE(s->flips);
  EXPECT_EQ(s->what, "US-2026-TARIFF: no -> yes");
  EXPECT_TRUE(answer.flips);
}

TEST(Classify, DieAreaChangesTheClassOnlyNearALine) {
  const auto l20 = on("l20", kListOnly);  // 1,912 / 609 = 3.14: 3.2 is 597.5 mm2 away
  EXPECT_NEAR(l20.die_area.low.value_or(0), 1912 / 3.2, 0.1);
  EXPECT_TRUE(l20.die_area.flips_within_tenth);
  const auto mi300x = on("mi300x", kListOnly);  // TPP alone decides
  EXPECT_FALSE(mi300x.die_area.low || mi300x.die_area.high);
  Question chiplets;
  chiplets.reading.die_area_mm2 = 2400;
  EXPECT_EQ(on("mi300x", kListOnly, chiplets).class_name, mi300x.class_name);
}

TEST(Classify, ABillCountsOnlyWhenAskedFor) {
  EXPECT_EQ(on("h20-141gb", date(2026, 2, 1)).class_name, "letter of April 2025");
  Question bill;
  bill.hypothetical = {"US-BILL-S3374"};
  EXPECT_EQ(on("h20-141gb", date(2026, 2, 1), bill).class_name, "SAFE Chips Act");  // 4,800 GB/s
  EXPECT_NE(on("h20-96gb", date(2026, 2, 1), bill).class_name, "SAFE Chips Act");   // 4,000; 4,900 with the link
}

TEST(Classify, TheSeatOfTheBuyerCounts) {
  Question abroad;
  abroad.deal = {.destination = Place::tier2, .headquarters = Place::china};
  EXPECT_EQ(on("h100-sxm5-80gb", date(2024, 6, 1), abroad).class_name, "3A090.a");
  abroad.deal.headquarters = Place::tier2;
  EXPECT_EQ(on("h100-sxm5-80gb", date(2024, 6, 1), abroad).class_name, kNotControlled);
  // The Diffusion framework was never enforced: text in force, no class.
  const auto tier2 = on("h100-sxm5-80gb", date(2025, 6, 1), abroad);
  EXPECT_EQ(tier2.class_name, kNotControlled);
  EXPECT_TRUE(std::ranges::any_of(tier2.findings, [](const auto& f) {
    return f.rule->id == "US-2025-DIFF" && f.text == TextState::in_force &&
           f.enforcement == Enforcement::not_enforced && f.finding.verdict == Verdict::yes && !f.counts;
  }));
}

}  // namespace
}  // namespace traincost::scenario
