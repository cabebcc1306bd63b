#include <traincost/scenario/buying_power.hpp>

#include <algorithm>
#include <limits>
#include <numbers>

#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {
constexpr double kHoursPerDay = 24;
constexpr double kHoursPerYear = 8766;
// Staff as a share of all development cost, and so of the rest (Cottier et al., arXiv 2405.21015: GPT-4, Gemini).
constexpr double kStaffShareLow = 0.29, kStaffShareHigh = 0.49;
}  // namespace

double wall_watts(double tdp_watts, const catalog::Operating& operating) {
  return tdp_watts * operating.server_power_factor * operating.average_power_fraction *
         operating.power_usage_effectiveness;
}

GpuTime gpu_time(const Means& means, double usd_per_gpu_hour, double tdp_watts, const catalog::Operating& operating) {
  GpuTime best{.gpu_hours = std::numeric_limits<double>::infinity()};
  const auto limit = [&](double gpu_hours, const char* name) {
    if (gpu_hours < best.gpu_hours) best = {gpu_hours, name};
  };
  if ((means.chips || means.watts) && !means.days)
    throw InputError("budget: --gpus and --megawatts say how fast, --days how long: give both");
  const double hours = means.days.value_or(0) * kHoursPerDay;
  if (means.dollars) limit(*means.dollars / usd_per_gpu_hour, "dollars");
  if (means.chips) limit(*means.chips * hours, "chips");
  if (means.watts) limit(*means.watts / wall_watts(tdp_watts, operating) * hours, "power");
  if (best.limit.empty()) throw InputError("budget: give --dollars, or --gpus or --megawatts with --days");
  return best;
}

FirmYear firm_year(const Firm& firm, const catalog::Operating& operating) {
  FirmYear year{.chips = firm.chips,
                .capex_usd = firm.capex_usd,
                .final_run_usd = firm.final_run_usd,
                .final_run_gpu_hours = firm.final_run_gpu_hours};
  year.amortised_usd = firm.capex_usd * operating.price_decline_per_year_log10 * std::numbers::ln10;
  const double joules = firm.chips * wall_watts(firm.tdp_watts, operating) * units::kYear.value;
  year.energy_usd = (units::Joules{joules} * operating.electricity).value;
  const double machines = year.amortised_usd + year.energy_usd;
  year.staff_low_usd = machines * kStaffShareLow / (1 - kStaffShareLow);
  year.staff_high_usd = machines * kStaffShareHigh / (1 - kStaffShareHigh);
  year.final_run_share_of_usd = firm.final_run_usd / machines;
  year.final_run_share_of_gpu_hours = firm.final_run_gpu_hours / (firm.chips * kHoursPerYear);
  return year;
}

}  // namespace traincost::scenario
