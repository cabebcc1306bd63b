#include <array>

#include <fmt/format.h>

#include <traincost/catalog/toml_table.hpp>
#include <traincost/scenario/rule_file.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

using catalog::TomlTable;

struct Suffix {
  std::string_view text;
  Compare compare;
};
constexpr std::array kSuffixes{Suffix{"_at_least", Compare::at_least}, Suffix{"_above", Compare::above},
                               Suffix{"_below", Compare::below}, Suffix{"_at_most", Compare::at_most}};

// tpp_at_least = 4800 | is_datacenter = true
Clause clause(TomlTable table) {
  Clause clause;
  for (std::size_t i = 0; i < kFigureCount; ++i) {
    const auto figure = static_cast<Figure>(i);
    const std::string name{key(figure)};
    if (is_flag(figure)) {
      if (const auto wanted = table.flag(name))
        clause.all.push_back({figure, *wanted ? Compare::at_least : Compare::below, 1});
      continue;
    }
    for (const auto& suffix : kSuffixes)
      if (const auto threshold = table.figure(name + std::string{suffix.text}))
        clause.all.push_back({figure, suffix.compare, *threshold});
  }
  if (const auto from = table.text("from"); !from.empty())
    clause.from = parse_date(from, fmt::format("{}: from", table.origin()));
  table.finish();
  if (clause.all.empty())
    throw InputError(fmt::format("{}: a clause without a test, such as tpp_at_least = 4800", table.origin()));
  return clause;
}

Logic logic(TomlTable& table, const std::string& name) {
  Logic logic;
  for (auto& one : table.tables(name)) logic.push_back(clause(one));
  return logic;
}

std::optional<Date> day(TomlTable& table, const std::string& name) {
  const auto text = table.text(name);
  return text.empty() ? std::nullopt
                      : std::optional<Date>{parse_date(text, fmt::format("{}: {}", table.origin(), name))};
}

std::vector<Place> places(TomlTable& table) {
  std::vector<Place> found;
  for (const auto& text : table.texts("places")) {
    const auto place = parse_place(text);
    if (!place) table.refuse("places", "china, macau, d5, d1-d4, tier2, tier1, us or eu");
    found.push_back(*place);
  }
  return found.empty() ? std::vector<Place>{Place::china} : found;
}

Effect effect(TomlTable& table) {
  const auto text = table.choice("effect", {"control", "relief", "tariff"}, "control");
  return text == "relief" ? Effect::relief : text == "tariff" ? Effect::tariff : Effect::control;
}

}  // namespace

Rule read_rule(TomlTable& table) {
  constexpr int kAboveAll = 10;  // a rule that the user wrote decides before the published ones
  Rule rule{.id = table.required_text("id"), .name = table.text("name"), .jurisdiction = "hypothetical"};
  rule.class_name = rule.id;
  rule.effective = day(table, "effective");
  if (!rule.effective) table.refuse("effective", "the day from which it holds, YYYY-MM-DD");
  rule.published = *rule.effective;
  rule.ended = day(table, "ended");
  rule.effect = effect(table);
  rule.rank = kAboveAll;
  rule.places = places(table);
  rule.follows_headquarters = table.flag("follows_headquarters", false);
  rule.logic = logic(table, "any");
  if (rule.logic.empty()) table.refuse("any", "at least one [[any]] table of tests");
  rule.unless = logic(table, "unless");
  rule.outcome = table.text("outcome").empty() ? "licence" : table.text("outcome");
  rule.source = table.text("source").empty() ? fmt::format("hypothetical, {}", table.origin()) : table.text("source");
  rule.confirmed = "hypothetical";
  table.finish();
  return rule;
}

Rule parse_rule(std::string_view toml, const std::string& origin) {
  TomlTable table(toml, origin);
  return read_rule(table);
}

}  // namespace traincost::scenario
