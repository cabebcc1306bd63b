#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/scenario/plan.hpp>

namespace traincost::scenario {

/// What a draw says at the end of a quarter.
enum class Metric {
  run_restricted,  // FLOP of the largest run
  run_unrestricted,
  lag_months,   // since the other side could make a run as good, methods included
  cost_ratio,   // dollars of budget per sustained FLOP/s bought this year, restricted / unrestricted
  share,        // of the two sides' throughput in the job
  fleet_chips,  // of the restricted side
  fleet_tpp,
  fleet_h100e,     // 8-bit dense rate / 1979e12
  fleet_job_h100,  // throughput in the job / that of an H100
  legal_job_h100,  // of it, by channel
  grey_job_h100,
  domestic_job_h100,
  unrestricted_h100e,
  unrestricted_job_h100,
};
inline constexpr std::size_t kMetricCount = static_cast<std::size_t>(Metric::unrestricted_job_h100) + 1;
std::string_view to_string(Metric metric);  // key
std::string_view title(Metric metric);

/// Who can make the run in question by its date.
struct Reach {
  bool restricted = false, unrestricted = false;
};

/// Plays one draw. `at`: quarters to report, ascending; `out`: [at.size()][kMetricCount].
Reach simulate(const Plan& plan, const Knobs& knobs, std::span<const int> at, std::span<float> out);

/// Quarters of the ends of all years, or all quarters.
std::vector<int> year_ends(const Plan& plan);
std::vector<int> all_quarters(const Plan& plan);
/// "2025" or "2025Q4".
std::string quarter_name(const Plan& plan, int quarter, bool is_year);

}  // namespace traincost::scenario
