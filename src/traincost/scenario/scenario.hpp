#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <traincost/scenario/date.hpp>
#include <traincost/scenario/knob.hpp>
#include <traincost/scenario/rule.hpp>

namespace traincost::scenario {

enum class Side { restricted, unrestricted };
inline constexpr std::array kSides{Side::restricted, Side::unrestricted};
std::string_view to_string(Side side);

enum class Channel { legal, grey, domestic };
std::string_view to_string(Channel channel);

/// A line of supply: a chip that a side can buy through a channel, from a day to a day. Legal lines of the restricted
/// side are open only as the rules of that day allow.
struct Supply {
  std::string id, chip;
  Side buyer = Side::restricted;
  Channel channel = Channel::legal;
  double usd = 0;                   // per chip
  std::optional<Date> from, until;  // else the chip's release, no end
  std::optional<double> per_year;   // chips; of grey and domestic lines the knobs say
  Basis basis = Basis::assumed;
  std::string source;
};

/// What a side spends on accelerators in a year.
struct Spending {
  Side buyer = Side::restricted;
  int year = 0;
  double usd = 0;
  Basis basis = Basis::assumed;
  std::string source;
};

struct Correlation {
  Knob a, b;
  double rho = 0;
};

/// The run in question: how many H100, at the job's own rate, one buyer must bring together, and by when.
struct Frontier {
  double h100 = 1e6;
  Date by = date(2027, 12, 31);
  std::string source;
};

/// The job that a fleet's throughput is measured on.
struct Job {
  std::string model = "deepseek-v3";
  double gpus = 2048;
};

/// A Policy: rules and their enforcement, fleets, budgets, progress, and the question.
struct Scenario {
  std::string title;
  std::vector<std::string> notes;
  int first_year = 2022, last_year = 2029;
  std::vector<std::string> rules_off;  // ids; "*" for all
  std::vector<Rule> extra_rules;
  std::array<std::optional<Factor>, kKnobCount> factors;
  std::vector<Correlation> correlations;
  std::vector<Supply> supplies;
  std::vector<Spending> spendings;
  Frontier frontier;
  Job job;
  std::string text;  // of the files it was read from, for the fingerprint of a checkpoint
};

/// Reads FILE and what it extends; throws InputError (unknown or missing key, missing factor).
Scenario read_scenario(const std::filesystem::path& file);

/// The rules that hold in it.
std::vector<Rule> active_rules(const Scenario& scenario);

/// Every number of it with basis and source, one line each.
std::vector<std::string> assumptions(const Scenario& scenario);

}  // namespace traincost::scenario
