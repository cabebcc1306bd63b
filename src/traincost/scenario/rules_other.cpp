#include <algorithm>

#include <traincost/scenario/rules_tables.hpp>

namespace traincost::scenario::tables {
namespace {
using enum Figure;
using enum Compare;
constexpr Test kDatacenter{is_datacenter, at_least, 1};
const std::string kSecondary = "secondary source";
}  // namespace

std::vector<Rule> bills() {
  return {
      {.id = "US-BILL-S3374",
       .name = "SAFE Chips Act (bill)",
       .jurisdiction = "US",
       .scope = "S.3374, 119th Congress",
       .citation = "S.3374, introduced 2025-12-04",
       .published = date(2025, 12, 4),
       .rank = 6,
       .class_name = "SAFE Chips Act",
       .places = {Place::china, Place::macau, Place::d5},
       .follows_headquarters = true,
       .destinations = "foreign adversaries and firms with their seat there",
       .logic = {{{kDatacenter, {tpp, at_least, 4800}}},
                 {{kDatacenter, {tpp, at_least, 2400}, {performance_density, at_least, 1.6}}},
                 {{kDatacenter, {tpp, at_least, 1600}, {performance_density, at_least, 3.2}}},
                 {{kDatacenter, {memory_gb_per_s, at_least, 4100}}},
                 {{kDatacenter, {link_gb_per_s, at_least, 1100}}},
                 {{kDatacenter, {memory_plus_link_gb_per_s, at_least, 5000}}}},
       .outcome = "licence required, and to be denied",
       .source = "text of the bill, through a secondary source",
       .confirmed = "yes",
       .notes = "drawn just above the H20 96GB (4,000 GB/s memory, 900 link); adjustable after 30 months"},
      {.id = "US-BILL-CSA",
       .name = "Chip Security Act (bill)",
       .jurisdiction = "US",
       .scope = "H.R.3447, S.1705",
       .citation = "introduced 2025-05-15",
       .published = date(2025, 5, 15),
       .effect = Effect::duty,
       .places = {Place::china, Place::macau, Place::d5, Place::d1_d4, Place::tier2, Place::tier1},
       .destinations = "exports of covered circuits",
       .outcome = "location verification within 180 days of enactment",
       .source = kSecondary,
       .confirmed = "yes",
       .notes = "committee 42-0; floor status not found"},
      {.id = "US-BILL-OVERWATCH",
       .name = "AI OVERWATCH Act (bill)",
       .jurisdiction = "US",
       .scope = "H.R.6875",
       .citation = "introduced 2025-12-19",
       .published = date(2025, 12, 19),
       .effect = Effect::duty,
       .places = {Place::china, Place::d5},
       .destinations = "China, Cuba, Iran, North Korea, Russia, Venezuela",
       .named_chips = {"b100", "b200", "gb200", "b300", "gb300", "b30a"},
       .outcome = "30 days of congressional review; two years without Blackwell",
       .source = "House press release and secondary sources",
       .confirmed = "yes",
       .notes = "committee 42-2-1 on 2026-01-21; floor status not found"},
      {.id = "US-BILL-GAIN",
       .name = "GAIN AI Act (amendment)",
       .jurisdiction = "US",
       .scope = "NDAA for 2026",
       .citation = "Senate version of the NDAA, 2025-10",
       .published = date(2025, 10, 1),
       .phases = {{date(2025, 10, 1), Enforcement::proposed, "passed the Senate 77-20"},
                  {date(2025, 12, 1), Enforcement::dropped, "left out of the final act"}},
       .effect = Effect::duty,
       .places = {Place::china, Place::macau, Place::d5},
       .destinations = "countries of concern",
       .outcome = "US orders are filled first",
       .source = kSecondary,
       .confirmed = "yes",
       .notes = "the day of publication is not known"},
  };
}

std::vector<Rule> compute_thresholds() {
  return {
      {.id = "US-EO14110",
       .name = "Reporting threshold of the executive order",
       .jurisdiction = "US",
       .scope = "dual-use foundation models",
       .citation = "EO 14110 s. 4.2",
       .published = date(2023, 10, 30),
       .effective = date(2024, 1, 28),
       .ended = date(2025, 1, 20),
       .subject = Subject::training_run,
       .effect = Effect::duty,
       .places = {Place::us},
       .destinations = "developers in the US",
       .logic = {{{{training_ops, above, 1e26}}}, {{{is_bio_sequence, at_least, 1}, {training_ops, above, 1e23}}}},
       .outcome = "report to the government",
       .source = kSecondary,
       .confirmed = "yes",
       .notes = "revoked by EO 14148 and 14179"},
      {.id = "EU-AIACT",
       .name = "Systemic-risk presumption",
       .jurisdiction = "EU",
       .scope = "Art. 51(2)",
       .citation = "Regulation (EU) 2024/1689",
       .published = date(2024, 7, 12),
       .effective = date(2025, 8, 2),
       .subject = Subject::training_run,
       .effect = Effect::duty,
       .places = {Place::eu},
       .destinations = "models put on the EU market",
       .logic = {{{{training_ops, above, 1e25}}}},
       .outcome = "notice and further duties",
       .exceptions = "rebuttable",
       .source = kSecondary,
       .confirmed = "yes",
       .notes = "dates from a secondary source"},
      {.id = "CA-SB53",
       .name = "Frontier model law of California",
       .jurisdiction = "US-CA",
       .scope = "frontier developers",
       .citation = "SB 53",
       .published = date(2025, 9, 29),
       .effective = date(2026, 1, 1),
       .subject = Subject::training_run,
       .effect = Effect::duty,
       .places = {Place::us},
       .destinations = "California",
       .logic = {{{{training_ops, above, 1e26}}}},
       .outcome = "publish a framework",
       .source = kSecondary,
       .confirmed = "yes",
       .notes = ""},
  };
}

std::vector<Rule> chinese() {
  return {
      {.id = "CN-2025-11",
       .name = "Domestic chips in state-funded data centres",
       .jurisdiction = "CN",
       .scope = "guidance",
       .citation = "Reuters, 2025-11-05",
       .published = date(2025, 11, 5),
       .effective = date(2025, 11, 5),
       .phases = {{date(2025, 11, 5), Enforcement::reported, "two anonymous sources"}},
       .subject = Subject::data_centre,
       .effect = Effect::duty,
       .places = {Place::china},
       .destinations = "China",
       .logic = {{{{is_state_funded, at_least, 1}}}},
       .outcome = "no foreign AI chips where new or less than 30 % complete",
       .source = kSecondary,
       .confirmed = "reported",
       .notes = ""},
      {.id = "CN-2026-01",
       .name = "Customs block on the H200",
       .jurisdiction = "CN",
       .scope = "customs instruction",
       .citation = "Reuters, 2026-01-14",
       .published = date(2026, 1, 14),
       .effective = date(2026, 1, 14),
       .phases = {{date(2026, 1, 14), Enforcement::reported, ""},
                  {date(2026, 1, 28), Enforcement::uncertain, "conditional approvals reported"}},
       .effect = Effect::duty,
       .places = {Place::china},
       .destinations = "China",
       .named_chips = {"h200-"},
       .outcome = "not admitted unless necessary",
       .source = kSecondary,
       .confirmed = "reported",
       .notes = "NVIDIA reported no H200 revenue from China to 2026-04-26"},
  };
}

}  // namespace traincost::scenario::tables

namespace traincost::scenario {

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> joined;
    for (auto&& group : {tables::advanced_computing(), tables::around_the_chips(), tables::bills(),
                         tables::compute_thresholds(), tables::chinese()})
      joined.insert(joined.end(), group.begin(), group.end());
    std::ranges::stable_sort(joined, {}, &Rule::published);
    return joined;
  }();
  return all;
}

}  // namespace traincost::scenario
