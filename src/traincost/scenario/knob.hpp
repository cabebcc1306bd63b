#pragma once

#include <array>
#include <optional>
#include <string_view>

#include <traincost/scenario/factor.hpp>

namespace traincost::scenario {

/// The uncertain numbers of a scenario. `restricted` is the side that the rules bind, `unrestricted` the other.
enum class Knob {
  budget_restricted,  // x the table of budgets
  budget_unrestricted,
  budget_growth_restricted,  // per year, after the last year of the table
  budget_growth_unrestricted,
  legal_volume,          // x the stated limit of lines that have one
  licence_rate,          // share of what licensed lines could sell that is sold
  grey_chips_per_year,   // in 2024
  grey_growth,           // per year
  grey_premium,          // price / list price
  domestic_chips_2025,   // per year at 2025.0
  domestic_growth,       // per year
  domestic_yield,        // good chips / planned
  domestic_efficiency,   // sustained rate / that of the cost model
  chip_life_years,       // mean; chips leave at random
  training_share,        // of a fleet, the rest serves
  run_share_restricted,  // largest run / training fleet
  run_share_unrestricted,
  run_days,
  algorithmic_growth,     // per year: the same result from so much less compute
  follower_delay_months,  // until the other side's methods are in use
  rate_error,             // of the cost model on the restricted side's foreign chips, against the other side's
};
inline constexpr std::size_t kKnobCount = static_cast<std::size_t>(Knob::rate_error) + 1;

std::string_view to_string(Knob knob);
std::optional<Knob> parse_knob(std::string_view name);

/// One draw of all of them.
struct Knobs {
  std::array<double, kKnobCount> values{};
  double& operator[](Knob knob) { return values[static_cast<std::size_t>(knob)]; }
  double operator[](Knob knob) const { return values[static_cast<std::size_t>(knob)]; }
};

}  // namespace traincost::scenario
