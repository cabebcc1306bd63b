#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/scenario/classify.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;
using report::Cell;

struct Options {
  std::vector<std::string> chips, rules;
  bool is_all = false, is_vendor_tpp = false;
  std::string as_of, destination = "china", headquarters;
  double tf32_bits = 19;
  std::optional<double> die_area_mm2;
  std::string chip_file;
  report::Format format = report::Format::table;
};

Place place(const std::string& text, const std::string& option) {
  const auto found = parse_place(text);
  if (!found)
    throw InputError(fmt::format("{}: '{}' (expected china, macau, d5, d1-d4, tier2, tier1, us or eu)", option, text));
  return *found;
}

Date today() { return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()); }

// --rule takes the id of a row, a bill for example, or a file with a rule of one's own.
std::vector<Rule> rules_with(const Options& options, Question& question) {
  std::vector<Rule> all = rules();
  for (const auto& text : options.rules) {
    if (text.ends_with(".toml")) {
      all.push_back(parse_rule(catalog::read_text_file(text), text));
    } else if (find_rule(all, text)) {
      question.hypothetical.push_back(text);
    } else {
      throw InputError(fmt::format("--rule: no rule '{}' (a row of `traincost rules` or a .toml file)", text));
    }
  }
  return all;
}

Question question(const Options& options) {
  Question q{.as_of = options.as_of.empty() ? today() : parse_date(options.as_of, "--as-of")};
  q.deal.destination = place(options.destination, "--destination");
  q.deal.headquarters =
      options.headquarters.empty() ? q.deal.destination : place(options.headquarters, "--headquarters");
  if (options.tf32_bits != 19 && options.tf32_bits != 32)
    throw InputError(fmt::format("--tf32-bits: {} (expected 19 or 32)", options.tf32_bits));
  q.reading.tf32_bits = options.tf32_bits;
  q.reading.tpp_source = options.is_vendor_tpp ? TppSource::vendor : TppSource::data_sheet;
  q.reading.die_area_mm2 = options.die_area_mm2;
  return q;
}

report::Table overview(const std::vector<Classification>& answers) {
  report::Table table{.columns = {{"chip", "chip"},
                                  {"class", "class"},
                                  {"deciding_rule", "rule"},
                                  {"deciding_test", "test"},
                                  {"tpp", "TPP", 1, 0},
                                  {"performance_density", "density", 1, 2},
                                  {"memory_gb_per_s", "memory GB/s", 1, 0},
                                  {"io_gb_per_s", "I/O GB/s", 1, 0},
                                  {"flips", "flips"},
                                  {"refusal", "refusal"}},
                      .rows = {}};
  for (const auto& a : answers)
    table.rows.push_back({a.chip, a.refusal ? "refused" : a.class_name, a.deciding_rule, a.deciding_test,
                          report::cell(a.figures[Figure::tpp]), report::cell(a.figures[Figure::performance_density]),
                          report::cell(a.figures[Figure::memory_gb_per_s]),
                          report::cell(a.figures[Figure::io_gb_per_s]), a.flips, a.refusal.value_or("")});
  return table;
}

report::Table record(const Classification& a) {
  report::Table table{.columns = {{"chip", "chip"},
                                  {"as_of", "as of"},
                                  {"destination", "sold to"},
                                  {"class", "class"},
                                  {"is_licence_needed", "licence needed"},
                                  {"deciding_rule", "decided by"},
                                  {"deciding_test", "test"},
                                  {"outcome", "outcome"},
                                  {"tpp", "TPP", 1, 1},
                                  {"tpp_format", "from"},
                                  {"performance_density", "density", 1, 2},
                                  {"memory_gb_per_s", "memory GB/s", 1, 0},
                                  {"io_gb_per_s", "I/O GB/s", 1, 0},
                                  {"die_area_mm2", "die area mm2", 1, 0},
                                  {"die_area_low_mm2", "class stays above mm2", 1, 1},
                                  {"die_area_high_mm2", "class stays below mm2", 1, 1},
                                  {"flips", "another reading flips it"}},
                      .rows = {}};
  table.rows.push_back(
      {a.chip, to_string(a.as_of), std::string{to_string(a.deal.destination)}, a.class_name, a.is_licence_needed,
       a.deciding_rule, a.deciding_test, a.outcome, report::cell(a.figures[Figure::tpp]), a.figures.tpp_format,
       report::cell(a.figures[Figure::performance_density]), report::cell(a.figures[Figure::memory_gb_per_s]),
       report::cell(a.figures[Figure::io_gb_per_s]), report::cell(a.die_area.stated), report::cell(a.die_area.low),
       report::cell(a.die_area.high), a.flips});
  return table;
}

report::Table headroom(const Classification& a) {
  report::Table table{.columns = {{"rule", "rule"},
                                  {"figure", "figure"},
                                  {"line", "line", 1, 2},
                                  {"value", "value", 1, 2},
                                  {"below_line", "below the line by", 1, 2},
                                  {"below_line_share", "%", 0.01, 1}},
                      .rows = {}};
  for (const auto& line : a.headroom)
    table.rows.push_back({line.rule, std::string{to_string(line.figure)}, line.threshold, report::cell(line.value),
                          report::cell(line.below_line),
                          line.below_line ? Cell{*line.below_line / line.threshold} : Cell{}});
  return table;
}

report::Table sensitivity(const Classification& a) {
  report::Table table{
      .columns = {{"reading", "reading"}, {"tpp", "TPP"}, {"class", "class"}, {"flips", "flips"}, {"what", "what"}},
      .rows = {}};
  for (const auto& s : a.sensitivities) table.rows.push_back({s.reading, s.tpp, s.class_name, s.flips, s.what});
  return table;
}

report::Table findings(const Classification& a) {
  report::Table table{.columns = {{"rule", "rule"},
                                  {"verdict", "holds"},
                                  {"test", "test"},
                                  {"effect", "effect"},
                                  {"text", "text"},
                                  {"enforcement", "enforcement"},
                                  {"counts", "counts"}},
                      .rows = {}};
  for (const auto& f : a.findings)
    table.rows.push_back({f.rule->id, std::string{to_string(f.finding.verdict)},
                          f.finding.deciding ? to_string(*f.finding.deciding) : std::string{},
                          std::string{to_string(f.rule->effect)}, std::string{to_string(f.text)},
                          std::string{to_string(f.enforcement)}, f.counts});
  return table;
}

std::string one(const Classification& answer, report::Format format) {
  if (answer.refusal) throw InputError(*answer.refusal);
  return report::render({{"classification", "", record(answer), true},
                         {"headroom", "Distance to every line", headroom(answer)},
                         {"sensitivity", "Other readings of the same figures", sensitivity(answer)},
                         {"rules", "Rules that cover the sale", findings(answer)},
                         report::notes("assumptions", "Assumed", answer.assumptions)},
                        format);
}

void run(const Options& options) {
  Question q = question(options);
  const auto all_rules = rules_with(options, q);
  if (options.chips.empty() && options.chip_file.empty() && !options.is_all)
    throw InputError("classify: name a chip with --chip, or give --all");
  std::vector<Classification> answers;
  if (options.is_all)
    for (const auto& chip : catalog::chips()) answers.push_back(classify(chip, q, all_rules));
  for (const auto& name : options.chips) answers.push_back(classify(chip_named(name), q, all_rules));
  if (!options.chip_file.empty()) {
    const auto chip = catalog::parse_chip(catalog::read_text_file(options.chip_file), options.chip_file);
    answers.push_back(classify(chip, q, all_rules));
  }
  print(answers.size() == 1 ? one(answers[0], options.format) : report::render(overview(answers), options.format));
}

}  // namespace

void add_classify(CLI::App& app) {
  auto options = std::make_shared<Options>();
  auto* command = add_command(app, "classify", "The export class of a chip on a day, and how far it is from every line",
                              "  traincost classify --chip h20-96gb --as-of 2025-05-01\n"
                              "  traincost classify --all --as-of 2026-02-01 --format csv\n"
                              "  traincost classify --chip h20-141gb --as-of 2026-02-01 --rule US-BILL-S3374");
  command->add_option("--chip", options->chips, "id or alias; several make a table");
  command->add_option("--chip-file", options->chip_file, "a chip of your own, a TOML file");
  command->add_flag("--all", options->is_all, "every chip of the catalogue");
  command->add_option("--as-of", options->as_of, "day, YYYY-MM-DD (default: today)");
  command->add_option("--rule", options->rules,
                      "take this bill or ended rule as in force, or add one from a .toml file");
  command->add_option("--destination", options->destination, "china, macau, d5, d1-d4, tier2, tier1, us, eu");
  command->add_option("--headquarters", options->headquarters, "seat of the buyer's parent (default: the destination)");
  command->add_option("--tf32-bits", options->tf32_bits, "19 (stored) or 32 (container)");
  command->add_flag("--vendor-tpp", options->is_vendor_tpp, "use the vendor's own TPP where it gives one");
  add_positive(*command, "--die-area", options->die_area_mm2, "mm2, instead of the catalogue's");
  add_format(*command, options->format);
  command->callback([options] { run(*options); });
}

}  // namespace traincost::app
