#pragma once

#include <string>
#include <vector>

#include <traincost/catalog/price.hpp>
#include <traincost/cost/step.hpp>

namespace traincost::cost {

/// A whole training run: what `traincost estimate` prints.
struct RunBudget {
  Interval step_seconds, days, gpu_hours, usd, energy_kwh, memory_bytes;
  double steps = 0;
  double goodput = 1;       // share of the time that goes into steps, see goodput.hpp
  std::string price_basis;  // which quotes, or amortised purchase
};

/// Optimizer steps that `tokens` take.
double steps(const Layout& layout, double tokens);

/// TDP while computing, `kIdlePower` of it otherwise, and the server's share beside the GPU.
units::Watts power_per_gpu(double busy_fraction, const catalog::Chip& chip, const catalog::Cluster& cluster);

/// The given price or catalog::hourly_price. Throws InputError when there is neither.
catalog::HourlyPrice price_per_gpu(const catalog::Chip& chip, const std::vector<catalog::Price>& prices,
                                   const catalog::Operating& operating, std::optional<double> usd_per_gpu_hour);

/// Dollars: GPU-hours at catalog::hourly_price, its spread and the step's taken as independent. Energy: TDP while
/// computing, `kIdlePower` of it otherwise, the server beside the GPUs and the building's PUE on top. Throws InputError
/// when there is neither a price of the chip nor `usd_per_gpu_hour`.
RunBudget run_budget(const StepCost& step, const Job& job, double tokens, const std::vector<catalog::Price>& prices,
                     const catalog::Operating& operating, std::optional<double> usd_per_gpu_hour = std::nullopt);

}  // namespace traincost::cost
