#include <traincost/calibrate/transfer.hpp>

#include <algorithm>
#include <cmath>

#include <traincost/calibrate/statistics.hpp>

namespace traincost::calibrate {
namespace {

// Power grows as clock x voltage^2: clock ~ power where the voltage is at its floor, power^(1/3) where it is
// proportional to the clock. Half-way. An operator's cap on one and the same part is kept in figures(): a part that is
// sold with less power is chosen for it.
constexpr double kClockPerPower = 2.0 / 3;

// Products lean on memory at many shapes, so that the share of its rate is well determined; attention hardly does.
bool is_product(Kind kind) { return kind == Kind::gemm || kind == Kind::moe_mlp; }

double between(double first, double second, double weight) {
  return std::exp((1 - weight) * std::log(first) + weight * std::log(second));
}

}  // namespace

Typical typical(const std::vector<Surface>& surfaces, Kind kind, work::Dtype dtype, const std::string& without) {
  std::vector<double> compute, memory;
  for (const auto& s : surfaces) {
    if (s.kind != kind || s.dtype != dtype || s.chip == without || is_pool(s.chip)) continue;
    compute.push_back(s.trend.compute_efficiency);
    memory.push_back(s.trend.memory_efficiency);
  }
  return {.compute_efficiency = quantile(compute, 0.5),
          .memory_efficiency = quantile(memory, 0.5),
          .best_compute_efficiency = quantile(compute, 1)};
}

Surface shrunk(Surface pool, std::size_t chips, const Typical& all) {
  if (!is_product(pool.kind) || all.compute_efficiency <= 0) return pool;
  const double weight = 1 / (1 + static_cast<double>(chips));
  pool.trend.compute_efficiency = between(pool.trend.compute_efficiency, all.compute_efficiency, weight);
  pool.trend.memory_efficiency = between(pool.trend.memory_efficiency, all.memory_efficiency, weight);
  return pool;
}

double sustained(const Surface& donor, double watts_per_flops, const Typical& all) {
  if (!uses_compute(donor.kind) || is_decode(donor.kind) || donor.chip == kStackedPool || donor.watts_per_flops <= 0 ||
      watts_per_flops <= 0)
    return 1;
  const double share = std::pow(watts_per_flops / donor.watts_per_flops, kClockPerPower);
  return std::min(share, std::max(1.0, all.best_compute_efficiency / donor.trend.compute_efficiency));
}

Load slowed(Load load, double sustained) {
  for (auto& tiling : load.tilings) tiling.seconds /= sustained;
  return load;
}

}  // namespace traincost::calibrate
