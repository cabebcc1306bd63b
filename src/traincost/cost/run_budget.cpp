#include <traincost/cost/run_budget.hpp>

#include <fmt/format.h>

#include <cmath>

#include <traincost/cost/goodput.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

constexpr double kIdlePower = 0.4;        // of TDP, while waiting for communication (GPU memory and links stay busy)
constexpr double kPowerLogSigma = 0.1;    // of average power, between loads
constexpr double kMemoryLogSigma = 0.06;  // of peak memory, measured against published peaks

Interval scaled(const Interval& i, double factor) { return {i.p5 * factor, i.p50 * factor, i.p95 * factor}; }

// Spread of a price given by three quantiles, as ln.
double log_sigma(const catalog::HourlyPrice& p) { return std::log(p.p95.value / p.p5.value) / (2 * kZ95); }

}  // namespace

double steps(const Layout& l, double tokens) { return tokens / (l.global_batch * l.seq_len); }

units::Watts power_per_gpu(double busy_fraction, const catalog::Chip& chip, const catalog::Cluster& cluster) {
  const double load = busy_fraction + (1 - busy_fraction) * kIdlePower;
  return chip.tdp_watts.value_or(units::Watts{}) * load + cluster.host_watts;
}

catalog::HourlyPrice price_per_gpu(const catalog::Chip& chip, const std::vector<catalog::Price>& prices,
                                   const catalog::Operating& operating, std::optional<double> usd_per_gpu_hour) {
  if (usd_per_gpu_hour) {
    const units::DollarsPerSecond rate{*usd_per_gpu_hour / units::kHour.value};
    return {rate, rate, rate, fmt::format("given: {} USD per GPU-hour", *usd_per_gpu_hour)};
  }
  const auto price = catalog::hourly_price(chip.id, chip.tdp_watts.value_or(units::Watts{}), prices, operating);
  if (!price)
    throw InputError(
        fmt::format("no price of {}: expected a rental or purchase price, or --usd-per-gpu-hour", chip.id));
  return *price;
}

RunBudget run_budget(const StepCost& step, const Job& job, double tokens, const std::vector<catalog::Price>& prices,
                     const catalog::Operating& operating, std::optional<double> usd_per_gpu_hour) {
  const double count = steps(job.layout, tokens), share = goodput(job.layout.gpus);
  const auto price = price_per_gpu(job.chip, prices, operating, usd_per_gpu_hour);
  const double gpu_seconds = step.seconds.p50 * count / share * job.layout.gpus;
  const double kwh = gpu_seconds * power_per_gpu(step.busy_fraction, job.chip, job.cluster).value *
                     operating.power_usage_effectiveness / units::kKilowattHour.value;
  return {.step_seconds = step.seconds,
          .days = scaled(step.seconds, count / share / (24 * units::kHour.value)),
          .gpu_hours = scaled(step.seconds, count / share * job.layout.gpus / units::kHour.value),
          .usd = log_normal(gpu_seconds * price.p50.value, std::hypot(step.log_sigma, log_sigma(price))),
          .energy_kwh = log_normal(kwh, std::hypot(step.log_sigma, kPowerLogSigma)),
          .memory_bytes = log_normal(step.memory.total(), kMemoryLogSigma),
          .steps = count,
          .goodput = share,
          .price_basis = price.basis};
}

}  // namespace traincost::cost
