#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/catalog/price.hpp>
#include <traincost/scenario/scaling_law.hpp>

namespace traincost::scenario {

/// What a buyer has; each stated means is a limit.
struct Means {
  std::optional<double> dollars, chips, watts, days;
};

/// GPU-hours that the means allow and the one that runs out first.
struct GpuTime {
  double gpu_hours = 0;
  std::string limit;  // "dollars", "chips", "power"
};

/// Watts at the wall of one chip with its server, cooling included.
double wall_watts(double tdp_watts, const catalog::Operating& operating);

/// Throws InputError when the means set no limit (chips or power without days).
GpuTime gpu_time(const Means& means, double usd_per_gpu_hour, double tdp_watts, const catalog::Operating& operating);

/// A firm's year beside its final run: what one run's price leaves out.
struct FirmYear {
  double chips = 0, capex_usd = 0;
  double amortised_usd = 0;  // loss of value of the fleet in a year
  double energy_usd = 0;
  double staff_low_usd = 0, staff_high_usd = 0;
  double final_run_usd = 0, final_run_gpu_hours = 0;
  double final_run_share_of_usd = 0, final_run_share_of_gpu_hours = 0;
};
struct Firm {
  double chips, capex_usd, tdp_watts;
  double final_run_usd, final_run_gpu_hours;
};
FirmYear firm_year(const Firm& firm, const catalog::Operating& operating);

}  // namespace traincost::scenario
