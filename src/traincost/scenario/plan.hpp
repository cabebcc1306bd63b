#pragma once

#include <array>
#include <functional>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/scenario/scenario.hpp>

namespace traincost::scenario {

/// Model FLOP per second that one chip sustains in the job, at its own best layout; nullopt if it cannot run it. From
/// the cost model, or `data_sheet_rate`.
using JobRate = std::function<std::optional<double>(const catalog::Chip&)>;

/// Dense peak of the best training format (fp8 block scaling or bf16) x one utilisation: knows no link and no memory.
JobRate data_sheet_rate(double utilisation);

/// What one unit of a supply is worth, and how much of it a quarter offers.
struct Offer {
  double usd = 0, per_usd = 0;  // list price and its reciprocal
  double rate = 0;              // model FLOP/s in the job
  double tpp = 0, h100e = 0;
  double per_quarter = 0;  // chips; infinite without a limit; of grey and domestic lines the knobs say
  double open = 1;         // share of the quarter's days
  Channel channel = Channel::legal;
  bool is_licensed = false, is_limited = false;
};

/// All of a scenario that no draw changes: which chips which side may buy in which quarter, by the rules of that day.
struct Plan {
  int first_year = 0, quarters = 0;
  std::array<std::vector<std::vector<Offer>>, 2> offers;  // [side][quarter]
  std::array<std::vector<double>, 2> usd_per_quarter;     // [side][quarter], before the knobs
  std::array<std::vector<double>, 2> years_past_table;    // [side][quarter], for growth after the last row
  std::array<Spread, kKnobCount> spreads;
  std::vector<std::vector<double>> correlate;  // Cholesky factor
  double h100_rate = 0;                        // model FLOP/s of an H100 in the job
  double frontier_h100 = 0;
  int frontier_quarter = 0;  // the last that counts
};
inline constexpr int kQuarters = 4;
inline constexpr int kMostQuarters = 51 * kQuarters;
inline constexpr std::string_view kYardstick = "h100-sxm5-80gb";

Plan plan(const Scenario& scenario, const std::vector<catalog::Chip>& chips, const JobRate& rate);

/// Knobs of one draw, of the medians, and of the medians but for one factor at z.
Knobs draw(const Plan& plan, std::uint64_t seed, std::uint64_t index);
Knobs medians(const Plan& plan);
Knobs with(const Plan& plan, Knob knob, double z);

}  // namespace traincost::scenario
