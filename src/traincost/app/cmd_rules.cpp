#include <memory>
#include <optional>
#include <string>

#include <traincost/app/command.hpp>
#include <traincost/scenario/rule.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;

struct Options {
  std::string as_of, subject, id;
  report::Format format = report::Format::table;
};

std::string day(const std::optional<Date>& date) { return date ? to_string(*date) : ""; }

// Of a text that is not in force, nobody enforces anything; a bill is proposed or dropped.
std::string enforcement_text(const Rule& rule, Date as_of) {
  const auto text = text_state(rule, as_of);
  if (text == TextState::not_yet || text == TextState::ended) return "";
  return std::string{to_string(enforcement(rule, as_of))};
}

report::Table timeline(const Options& options, const std::optional<Date>& as_of) {
  report::Table table{.columns = {{"id", "rule"},
                                  {"name", "name"},
                                  {"published", "published"},
                                  {"effective", "effective"},
                                  {"ended", "ended"},
                                  {"subject", "subject"},
                                  {"effect", "effect"},
                                  {"logic", "test"}},
                      .rows = {}};
  if (as_of) table.columns.insert(table.columns.begin() + 5, {{"text", "text"}, {"enforcement", "enforcement"}});
  for (const auto& rule : rules()) {
    if (!options.subject.empty() && to_string(rule.subject) != options.subject) continue;
    std::vector<report::Cell> row{rule.id,
                                  rule.name,
                                  to_string(rule.published),
                                  day(rule.effective),
                                  day(rule.ended),
                                  std::string{to_string(rule.subject)},
                                  std::string{to_string(rule.effect)},
                                  to_string(rule.logic)};
    if (as_of)
      row.insert(row.begin() + 5, {std::string{to_string(text_state(rule, *as_of))}, enforcement_text(rule, *as_of)});
    table.rows.push_back(row);
  }
  return table;
}

report::Table record(const Rule& rule) {
  std::string phases;
  for (const auto& phase : rule.phases) {
    if (!phases.empty()) phases += "; ";
    phases += to_string(phase.from) + " " + std::string{to_string(phase.state)};
    if (!phase.note.empty()) phases += " (" + phase.note + ")";
  }
  std::string named;
  for (const auto& chip : rule.named_chips) named += (named.empty() ? "" : ", ") + chip + "*";
  report::Table table{.columns = {{"id", "rule"},
                                  {"name", "name"},
                                  {"jurisdiction", "jurisdiction"},
                                  {"scope", "scope"},
                                  {"citation", "citation"},
                                  {"published", "published"},
                                  {"effective", "effective"},
                                  {"compliance", "compliance"},
                                  {"ended", "ended"},
                                  {"enforcement", "enforcement"},
                                  {"destinations", "destinations"},
                                  {"logic", "test"},
                                  {"unless", "unless"},
                                  {"named_chips", "names"},
                                  {"outcome", "outcome"},
                                  {"exceptions", "exceptions"},
                                  {"source", "source"},
                                  {"confirmed", "confirmed"},
                                  {"notes", "notes"}},
                      .rows = {}};
  table.rows.push_back({rule.id, rule.name, rule.jurisdiction, rule.scope, rule.citation, to_string(rule.published),
                        day(rule.effective), day(rule.compliance), day(rule.ended), phases, rule.destinations,
                        to_string(rule.logic), to_string(rule.unless), named, rule.outcome, rule.exceptions,
                        rule.source, rule.confirmed, rule.notes});
  return table;
}

void run(const Options& options) {
  const auto as_of = options.as_of.empty() ? std::nullopt : std::optional{parse_date(options.as_of, "--as-of")};
  if (options.id.empty()) return print(report::render(timeline(options, as_of), options.format));
  const auto* rule = find_rule(rules(), options.id);
  if (!rule) throw InputError("--id: no rule '" + options.id + "' (see `traincost rules`)");
  const auto table = record(*rule);
  print(options.format == report::Format::table  ? report::aligned_record(table)
        : options.format == report::Format::json ? report::json_record(table)
                                                 : report::csv(table));
}

}  // namespace

void add_rules(CLI::App& app) {
  auto options = std::make_shared<Options>();
  auto* command = add_command(app, "rules", "The export rules, bills and thresholds, by date of publication",
                              "  traincost rules --as-of 2025-05-01\n"
                              "  traincost rules --id US-2025-LETTER");
  command->add_option("--as-of", options->as_of, "also print the state of text and enforcement on that day");
  command->add_option("--subject", options->subject, "only rules on: chip, memory stack, training run, volume ...");
  command->add_option("--id", options->id, "everything about one rule");
  add_format(*command, options->format);
  command->callback([options] { run(*options); });
}

}  // namespace traincost::app
