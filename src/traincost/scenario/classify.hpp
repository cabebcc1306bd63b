#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/scenario/rule.hpp>

namespace traincost::scenario {

/// One rule that covers the deal on that day.
struct RuleFinding {
  const Rule* rule = nullptr;
  Finding finding;
  TextState text = TextState::in_force;
  Enforcement enforcement = Enforcement::enforced;
  bool counts = false;  // enforced on that day, or asked for by name
};

/// Distance of the chip to one line that some rule draws.
struct Headroom {
  std::string rule;
  Figure figure;
  Compare compare;
  double threshold = 0;
  std::optional<double> value;
  std::optional<double> below_line;  // threshold - value: negative beyond it
};

/// The answer under another reading of the figures.
struct Sensitivity {
  std::string reading;  // "TF32 as 32 bits"
  std::string tpp, class_name;
  bool flips = false;  // another class, or another finding of any rule that counts
  std::string what;    // which finding flips
};

/// The die areas between which the class stays the same, others being equal.
struct DieAreaRange {
  std::optional<double> stated, low, high;  // nullopt: no such limit
  bool flips_within_tenth = false;          // a limit lies within 10 % of the stated area
};

struct Classification {
  std::string chip;
  Date as_of;
  Deal deal;
  RuleFigures figures;
  std::optional<std::string> refusal;  // why there is no answer; then no class
  std::string class_name;              // "3A090.a"; "not controlled"
  bool is_licence_needed = false;
  std::string outcome;  // of the deciding rule, or of a relief that holds
  std::string deciding_rule, deciding_test;
  std::vector<RuleFinding> findings;
  std::vector<Headroom> headroom;
  std::vector<Sensitivity> sensitivities;
  DieAreaRange die_area;
  bool flips = false;
  std::vector<std::string> assumptions;
};

struct Question {
  Date as_of;
  Deal deal = {};
  Reading reading = {};
  std::vector<std::string> hypothetical;  // ids of bills or rules to be taken as in force
};

inline const std::string kNotControlled = "not controlled";

/// Class, deciding test, distance to every line, and what another reading would change. A figure whose lack leaves the
/// class open is a refusal.
Classification classify(const catalog::Chip& chip, const Question& question, const std::vector<Rule>& rules);

/// The part of it that a simulation asks for: may it be sold?
enum class Permission { free, case_by_case, licence, denied, unknown };
std::string_view to_string(Permission permission);
Permission permission(const catalog::Chip& chip, const Question& question, const std::vector<Rule>& rules);

}  // namespace traincost::scenario
