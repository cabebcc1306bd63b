#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/scenario/date.hpp>
#include <traincost/scenario/rule_figures.hpp>

namespace traincost::scenario {

enum class Compare { at_least, above, below, at_most };

/// figure <compare> threshold. Flags are written as `at_least 1` (yes) and `below 1` (no).
struct Test {
  Figure figure;
  Compare compare;
  double threshold;
};

/// All tests hold. `from`: the clause is part of the rule only from that day.
struct Clause {
  std::vector<Test> all;
  std::optional<Date> from = std::nullopt;
};

/// Any clause holds; empty: the rule names chips or is no test at all.
using Logic = std::vector<Clause>;

/// Three-valued (Kleene): a missing figure makes a test unknown, and a rule only where no other test decides it.
enum class Verdict { no, unknown, yes };
std::string_view to_string(Verdict verdict);

/// `missing`: the figure for want of which it is unknown; `deciding`: the clause that holds.
struct Finding {
  Verdict verdict = Verdict::no;
  const Clause* deciding = nullptr;
  std::vector<Figure> missing;
};
Verdict evaluate(const Test& test, const RuleFigures& figures);
Finding evaluate(const Logic& logic, const RuleFigures& figures, Date as_of);

std::string to_string(const Test& test);      // "TPP >= 4800"
std::string to_string(const Clause& clause);  // joined with " and "
std::string to_string(const Logic& logic);    // joined with " or "

enum class Subject { chip, memory_stack, fab, model_weights, training_run, volume, import, company, data_centre };
enum class Effect {
  control,  // a licence is needed
  relief,   // the tests true: a milder review than the control's own
  tariff,
  cap,
  duty,      // to report, to verify, to pay
  guidance,  // how to read or apply the others
};
enum class Enforcement {
  enforced,
  licensed /* enforced, licences being granted */,
  not_enforced,
  suspended,
  reported,
  uncertain,
  proposed,
  dropped
};
std::string_view to_string(Subject subject);
std::string_view to_string(Effect effect);
std::string_view to_string(Enforcement enforcement);

/// What the authorities do, apart from what the text says; from that day on.
struct Phase {
  Date from;
  Enforcement state;
  std::string note;
};

enum class Place { china, macau, d5 /* other arms-embargoed */, d1_d4, tier2, tier1, us, eu };
std::string_view to_string(Place place);
std::optional<Place> parse_place(std::string_view text);

/// One dated row. The text is in force from `effective` to `ended`, both days included.
struct Rule {
  std::string id, name, jurisdiction, scope /* ECCN or what it covers */, citation;
  Date published;
  std::optional<Date> effective, compliance, ended;  // no effective date: a bill
  std::vector<Phase> phases;                         // empty: enforced from `effective`
  Subject subject = Subject::chip;
  Effect effect = Effect::control;
  int rank = 0;            // of controls: the highest that holds gives the class
  std::string class_name;  // "3A090.a"
  std::vector<Place> places;
  bool follows_headquarters = false;  // also where the buyer or its parent has its seat in `places`
  std::string destinations;           // in words
  Logic logic, unless;
  std::vector<std::string> named_chips;  // prefixes of chip ids
  std::string outcome, exceptions, source, confirmed, notes;
};

enum class TextState { not_yet, in_force, ended, bill };
std::string_view to_string(TextState state);
TextState text_state(const Rule& rule, Date as_of);
Enforcement enforcement(const Rule& rule, Date as_of);
bool is_enforced(const Rule& rule, Date as_of);  // the text in force, and applied

struct Deal {
  Place destination = Place::china;
  Place headquarters = Place::china;
};
bool covers(const Rule& rule, const Deal& deal);

/// The rule's tests on these figures (logic and not unless, or a named chip), whatever the dates say.
Finding evaluate(const Rule& rule, const RuleFigures& figures, Date as_of);

/// Every row that the project knows, by date of publication (rules.cpp).
const std::vector<Rule>& rules();
const Rule* find_rule(const std::vector<Rule>& rules, std::string_view id);

/// A hypothetical rule from TOML (thresholds by key of `Figure`); throws InputError. See docs/policy.md.
Rule parse_rule(std::string_view toml, const std::string& origin);

}  // namespace traincost::scenario
