#include <traincost/scenario/scenario.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace traincost::scenario {

std::string_view to_string(Side side) { return side == Side::restricted ? "restricted" : "unrestricted"; }

std::string_view to_string(Channel channel) {
  constexpr std::string_view kTexts[] = {"legal", "grey", "domestic"};
  return kTexts[static_cast<int>(channel)];
}

std::vector<Rule> active_rules(const Scenario& scenario) {
  const auto is_off = [&](const Rule& rule) {
    return std::ranges::any_of(scenario.rules_off, [&](const auto& id) { return id == "*" || id == rule.id; });
  };
  std::vector<Rule> active;
  std::ranges::remove_copy_if(rules(), std::back_inserter(active), is_off);
  active.insert(active.end(), scenario.extra_rules.begin(), scenario.extra_rules.end());
  return active;
}

std::vector<std::string> assumptions(const Scenario& s) {
  std::vector<std::string> lines = s.notes;
  for (const auto& f : s.factors)
    if (f)
      lines.push_back(f->p5 == f->p95
                          ? fmt::format("{} {} = {} [{}] {}", f->name, f->unit, f->p50, to_string(f->basis), f->source)
                          : fmt::format("{} {} = {} ({} to {}) [{}] {}", f->name, f->unit, f->p50, f->p5, f->p95,
                                        to_string(f->basis), f->source));
  for (const auto& c : s.correlations)
    lines.push_back(
        fmt::format("{} and {} drawn with correlation {} [assumed]", to_string(c.a), to_string(c.b), c.rho));
  for (const auto& row : s.spendings)
    lines.push_back(fmt::format("{} side spends ${:.3g}B in {} [{}] {}", to_string(row.buyer), row.usd / 1e9, row.year,
                                to_string(row.basis), row.source));
  for (const auto& row : s.supplies)
    lines.push_back(fmt::format("{}: {} for the {} side, {}, ${:.0f}{} [{}] {}", row.id, row.chip, to_string(row.buyer),
                                to_string(row.channel), row.usd,
                                row.per_year ? fmt::format(", at most {:.0f} a year", *row.per_year) : "",
                                to_string(row.basis), row.source));
  lines.push_back(fmt::format("the run in question: {:.3g} H100 at the job's rate by {}: {}", s.frontier.h100,
                              to_string(s.frontier.by), s.frontier.source));
  return lines;
}

}  // namespace traincost::scenario
