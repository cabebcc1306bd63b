#include <fmt/format.h>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/report/budget_rows.hpp>
#include <traincost/report/number.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::report {

const std::vector<Total>& totals() {
  using cost::RunBudget;
  static const std::vector<Total> kTotals{
      {"step_seconds", "one step", "s", 1, 2, &RunBudget::step_seconds},
      {"days", "whole run", "days", 1, 1, &RunBudget::days},
      {"gpu_hours", "GPU time", "GPU-hours", 1, 0, &RunBudget::gpu_hours},
      {"usd", "cost", "USD", 1, 0, &RunBudget::usd},
      {"energy_kwh", "energy", "MWh", 1e3, 0, &RunBudget::energy_kwh},
      {"memory_bytes", "memory per GPU", "GB", units::kGiga, 1, &RunBudget::memory_bytes},
  };
  return kTotals;
}

Table parts_table(const cost::StepCost& step) {
  Table table{.columns = {{"name", "part of a step"},
                          {"category", "category"},
                          {"seconds", "seconds", 1, 3},
                          {"share", "share %", 0.01, 1},
                          {"origin", "figures"}}};
  for (const auto& part : step.parts)
    table.rows.push_back({part.name, std::string(cost::to_string(part.category)), part.seconds.value,
                          part.seconds.value / step.seconds.p50, std::string(calibrate::to_string(part.origin))});
  return table;
}

std::string memory_words(const cost::Estimate& estimate) {
  const double used = estimate.budget.memory_bytes.p50 / units::kGiga;
  const auto usable = cost::capacity(estimate.job.chip);
  if (!usable) return fmt::format("{} GB; the chip's memory is not known", grouped(used, 1));
  return fmt::format("{} of {} GB that a job may allocate: {}", grouped(used, 1),
                     grouped(usable->value / units::kGiga, 1), estimate.fits ? "fits" : "DOES NOT FIT");
}

std::string machine_words(const cost::Job& job) {
  return fmt::format("{} x {}", grouped(job.layout.gpus, 0), job.chip.name);
}

}  // namespace traincost::report
