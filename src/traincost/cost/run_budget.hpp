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
  std::string price_basis;  // which quotes, or amortised purchase
  StepCost step;
};

/// `tokens`: of the whole run. Prices of the chip by `catalog::hourly_price`; throws InputError if there is none and
/// `usd_per_gpu_hour` is not given.
RunBudget run_budget(const StepCost& step, const catalog::Chip& chip, const catalog::Cluster& cluster,
                     const Layout& layout, double tokens, const std::vector<catalog::Price>& prices,
                     const catalog::Operating& operating);

}  // namespace traincost::cost
