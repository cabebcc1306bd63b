#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <traincost/catalog/text_file.hpp>
#include <traincost/catalog/toml_table.hpp>
#include <traincost/scenario/rule_file.hpp>
#include <traincost/scenario/scenario.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

using catalog::TomlTable;

constexpr int kMostParents = 8;  // a longer chain of `extends` is a circle

Basis basis(TomlTable& t) {
  const auto text = t.choice("basis", {"fact", "measured", "estimated", "assumed"}, "assumed");
  for (const auto b : {Basis::fact, Basis::measured, Basis::estimated})
    if (to_string(b) == text) return b;
  return Basis::assumed;
}

Scale scale(TomlTable& t) {
  const auto text = t.choice("scale", {"log", "linear", "logit"}, "log");
  return text == "linear" ? Scale::linear : text == "logit" ? Scale::logit : Scale::log;
}

Side side(TomlTable& t) {
  return t.choice("buyer", {"restricted", "unrestricted"}, "restricted") == "restricted" ? Side::restricted
                                                                                         : Side::unrestricted;
}

Channel channel(TomlTable& t) {
  const auto text = t.choice("channel", {"legal", "grey", "domestic"}, "legal");
  return text == "grey" ? Channel::grey : text == "domestic" ? Channel::domestic : Channel::legal;
}

std::optional<Date> day(TomlTable& t, const std::string& key) {
  const auto text = t.text(key);
  return text.empty() ? std::nullopt : std::optional{parse_date(text, fmt::format("{}: {}", t.origin(), key))};
}

Knob knob(TomlTable& t, const std::string& key) {
  const auto found = parse_knob(t.required_text(key));
  if (!found) t.refuse(key, "the name of a factor (see docs/policy.md)");
  return *found;
}

// `value` alone is a constant; `multiply` scales what the extended file says.
void apply_factor(TomlTable& t, Scenario& s) {
  const Knob which = knob(t, "name");
  auto& slot = s.factors[static_cast<std::size_t>(which)];
  if (const auto times = t.figure("multiply")) {
    if (!slot) t.refuse("multiply", "a factor that the extended file gives");
    slot->p5 *= *times;
    slot->p50 *= *times;
    slot->p95 *= *times;
    slot->source += fmt::format("; x {} in this scenario", *times);
    t.text("source");
    return t.finish();
  }
  Factor f{.name = std::string{to_string(which)}, .unit = t.text("unit")};
  if (const auto constant = t.figure("value")) {
    f.p5 = f.p50 = f.p95 = *constant;
  } else {
    f.p5 = t.required_figure("p5");
    f.p50 = t.required_figure("p50");
    f.p95 = t.required_figure("p95");
  }
  f.scale = scale(t);
  f.basis = basis(t);
  f.source = t.required_text("source");
  t.finish();
  spread(f);  // refuses what is out of order
  slot = f;
}

void apply_supply(TomlTable& t, Scenario& s) {
  Supply row{.id = t.required_text("id"),
             .chip = t.required_text("chip"),
             .buyer = side(t),
             .channel = channel(t),
             .usd = t.required_figure("price_usd"),
             .from = day(t, "from"),
             .until = day(t, "until"),
             .per_year = t.figure("per_year"),
             .basis = basis(t),
             .source = t.required_text("source")};
  if (row.usd <= 0) t.refuse("price_usd", "a positive number");
  t.finish();
  std::erase_if(s.supplies, [&](const Supply& old) { return old.id == row.id; });
  s.supplies.push_back(std::move(row));
}

void apply_spending(TomlTable& t, Scenario& s) {
  Spending row{.buyer = side(t),
               .year = static_cast<int>(t.required_figure("year")),
               .usd = t.required_figure("usd"),
               .basis = basis(t),
               .source = t.required_text("source")};
  t.finish();
  std::erase_if(s.spendings, [&](const Spending& old) { return old.buyer == row.buyer && old.year == row.year; });
  s.spendings.push_back(std::move(row));
}

void apply_correlation(TomlTable& t, Scenario& s) {
  Correlation row{.a = knob(t, "a"), .b = knob(t, "b"), .rho = t.required_figure("rho")};
  if (row.rho >= 1) t.refuse("rho", "a number below 1");
  if (t.flag("is_negative", false)) row.rho = -row.rho;
  t.text("source");
  t.finish();
  s.correlations.push_back(row);
}

void apply(TomlTable& t, Scenario& s) {
  s.title = t.required_text("title");
  if (auto notes = t.texts("notes"); !notes.empty()) s.notes = std::move(notes);
  s.first_year = static_cast<int>(t.figure("first_year", s.first_year));
  s.last_year = static_cast<int>(t.figure("last_year", s.last_year));
  if (s.last_year < s.first_year || s.last_year - s.first_year > 50)
    t.refuse("last_year", "0 to 50 years after first_year");
  if (auto off = t.texts("rules_off"); !off.empty()) s.rules_off = std::move(off);
  s.frontier.h100 = t.figure("frontier_h100", s.frontier.h100);
  s.frontier.by = day(t, "frontier_by").value_or(s.frontier.by);
  if (auto source = t.text("frontier_source"); !source.empty()) s.frontier.source = source;
  if (auto model = t.text("job_model"); !model.empty()) s.job.model = model;
  s.job.gpus = t.figure("job_gpus", s.job.gpus);
  for (auto& row : t.tables("factor")) apply_factor(row, s);
  for (auto& row : t.tables("supply")) apply_supply(row, s);
  for (auto& row : t.tables("spending")) apply_spending(row, s);
  for (auto& row : t.tables("correlation")) apply_correlation(row, s);
  for (auto& row : t.tables("rule")) s.extra_rules.push_back(read_rule(row));
  for (const auto& id : s.rules_off)
    if (id != "*" && !find_rule(rules(), id)) t.refuse("rules_off", "ids of `traincost rules`, or *");
}

void read_onto(const std::filesystem::path& file, Scenario& s, int depth) {
  if (depth > kMostParents) throw InputError(fmt::format("{}: `extends` goes round in a circle", file.string()));
  const std::string text = catalog::read_text_file(file);
  TomlTable table(text, file.string());
  if (const auto parent = table.text("extends"); !parent.empty()) read_onto(file.parent_path() / parent, s, depth + 1);
  apply(table, s);
  table.finish();
  s.text += text;
}

}  // namespace

Scenario read_scenario(const std::filesystem::path& file) {
  Scenario s;
  read_onto(file, s, 0);
  for (std::size_t i = 0; i < kKnobCount; ++i)
    if (!s.factors[i])
      throw InputError(fmt::format("{}: factor {} is missing", file.string(), to_string(static_cast<Knob>(i))));
  std::ranges::stable_sort(s.spendings, {}, &Spending::year);
  for (const auto side : kSides)
    if (std::ranges::none_of(s.spendings, [&](const auto& row) { return row.buyer == side; }))
      throw InputError(fmt::format("{}: no [[spending]] of the {} side", file.string(), to_string(side)));
  return s;
}

}  // namespace traincost::scenario
