#include <traincost/scenario/rule.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace traincost::scenario {
namespace {

bool holds(double value, Compare compare, double threshold) {
  switch (compare) {
    case Compare::at_least:
      return value >= threshold;
    case Compare::above:
      return value > threshold;
    case Compare::below:
      return value < threshold;
    case Compare::at_most:
      return value <= threshold;
  }
  return false;
}

std::string_view sign(Compare compare) {
  constexpr std::string_view kSigns[] = {">=", ">", "<", "<="};
  return kSigns[static_cast<int>(compare)];
}

void note_missing(std::vector<Figure>& missing, Figure figure) {
  if (std::ranges::find(missing, figure) == missing.end()) missing.push_back(figure);
}

Verdict evaluate(const Clause& clause, const RuleFigures& figures, std::vector<Figure>& missing) {
  Verdict verdict = Verdict::yes;
  for (const auto& test : clause.all) verdict = std::min(verdict, evaluate(test, figures));
  if (verdict != Verdict::unknown) return verdict;
  for (const auto& test : clause.all)
    if (!figures[test.figure]) note_missing(missing, test.figure);
  return verdict;
}

bool is_named(const Rule& rule, const RuleFigures& figures) {
  return std::ranges::any_of(rule.named_chips, [&](const auto& prefix) { return figures.chip.starts_with(prefix); });
}

template <class Range, class Text>
std::string join(const Range& range, std::string_view between, Text text) {
  std::string joined;
  for (const auto& item : range) joined += fmt::format("{}{}", joined.empty() ? "" : between, text(item));
  return joined;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  constexpr std::string_view kTexts[] = {"no", "unknown", "yes"};
  return kTexts[static_cast<int>(verdict)];
}

Verdict evaluate(const Test& test, const RuleFigures& figures) {
  const auto& value = figures[test.figure];
  if (!value) return Verdict::unknown;
  return holds(*value, test.compare, test.threshold) ? Verdict::yes : Verdict::no;
}

Finding evaluate(const Logic& logic, const RuleFigures& figures, Date as_of) {
  Finding finding;
  for (const auto& clause : logic) {
    if (clause.from && as_of < *clause.from) continue;
    const Verdict verdict = evaluate(clause, figures, finding.missing);
    if (verdict == Verdict::yes) return {.verdict = verdict, .deciding = &clause, .missing = {}};
    finding.verdict = std::max(finding.verdict, verdict);
  }
  return finding;
}

Finding evaluate(const Rule& rule, const RuleFigures& figures, Date as_of) {
  if (is_named(rule, figures)) return {.verdict = Verdict::yes, .deciding = nullptr, .missing = {}};
  Finding finding = evaluate(rule.logic, figures, as_of);
  if (finding.verdict == Verdict::no || rule.unless.empty()) return finding;
  Finding exception = evaluate(rule.unless, figures, as_of);
  if (exception.verdict == Verdict::yes) return {};
  if (exception.verdict == Verdict::unknown) {
    finding.verdict = Verdict::unknown;
    for (const auto figure : exception.missing) note_missing(finding.missing, figure);
  }
  return finding;
}

std::string to_string(const Test& test) {
  if (is_flag(test.figure))
    return fmt::format("{}{}", test.compare == Compare::below ? "not " : "", to_string(test.figure));
  return fmt::format("{} {} {:.12g}", to_string(test.figure), sign(test.compare), test.threshold);
}

std::string to_string(const Clause& clause) {
  const auto tests = join(clause.all, " and ", [](const auto& test) { return to_string(test); });
  return clause.from ? fmt::format("{} (from {})", tests, to_string(*clause.from)) : tests;
}

std::string to_string(const Logic& logic) {
  const bool brackets = logic.size() > 1;
  return join(logic, " or ", [brackets](const auto& clause) {
    return brackets && clause.all.size() > 1 ? fmt::format("({})", to_string(clause)) : to_string(clause);
  });
}

std::string_view to_string(Subject subject) {
  constexpr std::string_view kTexts[] = {"chip",   "memory stack", "fab",     "model weights", "training run",
                                         "volume", "import",       "company", "data centre"};
  return kTexts[static_cast<int>(subject)];
}

std::string_view to_string(Effect effect) {
  constexpr std::string_view kTexts[] = {"control", "relief", "tariff", "cap", "duty", "guidance"};
  return kTexts[static_cast<int>(effect)];
}

std::string_view to_string(Enforcement enforcement) {
  constexpr std::string_view kTexts[] = {"enforced", "licences granted", "not enforced", "suspended",
                                         "reported", "uncertain",        "proposed",     "dropped"};
  return kTexts[static_cast<int>(enforcement)];
}

namespace {
constexpr std::array<std::string_view, 8> kPlaces{"china", "macau", "d5", "d1-d4", "tier2", "tier1", "us", "eu"};
}

std::string_view to_string(Place place) { return kPlaces[static_cast<std::size_t>(place)]; }

std::optional<Place> parse_place(std::string_view text) {
  const auto found = std::ranges::find(kPlaces, text);
  if (found == kPlaces.end()) return std::nullopt;
  return static_cast<Place>(found - kPlaces.begin());
}

std::string_view to_string(TextState state) {
  constexpr std::string_view kTexts[] = {"not yet", "in force", "ended", "bill"};
  return kTexts[static_cast<int>(state)];
}

TextState text_state(const Rule& rule, Date as_of) {
  if (!rule.effective) return TextState::bill;
  if (as_of < *rule.effective) return TextState::not_yet;
  return rule.ended && as_of > *rule.ended ? TextState::ended : TextState::in_force;
}

Enforcement enforcement(const Rule& rule, Date as_of) {
  Enforcement state = rule.effective ? Enforcement::enforced : Enforcement::proposed;
  for (const auto& phase : rule.phases)
    if (phase.from <= as_of) state = phase.state;
  return state;
}

bool is_enforced(const Rule& rule, Date as_of) {
  if (text_state(rule, as_of) != TextState::in_force) return false;
  if (rule.compliance && as_of < *rule.compliance) return false;
  const auto state = enforcement(rule, as_of);
  return state == Enforcement::enforced || state == Enforcement::licensed || state == Enforcement::reported;
}

bool covers(const Rule& rule, const Deal& deal) {
  const auto has = [&](Place place) { return std::ranges::find(rule.places, place) != rule.places.end(); };
  return has(deal.destination) || (rule.follows_headquarters && has(deal.headquarters));
}

const Rule* find_rule(const std::vector<Rule>& rules, std::string_view id) {
  const auto found = std::ranges::find(rules, id, &Rule::id);
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace traincost::scenario
