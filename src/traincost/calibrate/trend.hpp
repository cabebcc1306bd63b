#pragma once

#include <array>
#include <string_view>
#include <vector>

#include <traincost/calibrate/load.hpp>

namespace traincost::calibrate {

/// The parametric part of a surface; dimensionless but for the launch, so that it carries over to another chip.
struct Trend {
  double launch_s = 3e-6;            // per step of latency
  double compute_efficiency = 0.75;  // of the dense rate, largest tile, long inner loop
  double memory_efficiency = 0.85;   // of the memory or link rate; NVLS lifts it above 1
  double sharpness = 3;              // p of the p-norm that joins arithmetic and traffic: infinity = perfect overlap
  double depth_half = 100;           // inner-loop length that a prologue is worth
  double wave_share = 0.7;           // how much of the last, partly filled wave is lost
  std::array<double, kTileRanks - 1> tile_loss{0.05, 0.05, 0.05};  // ln slow-down of each smaller tile over the last
  double cast_passes = 0;    // passes over the activation that an fp8 timing spends on its cast
  double cache_gain = 1e-6;  // how much faster, less one, traffic is that the second-level cache keeps between runs
  double cache_share = 0.8;  // of the cache, where half of a working set of that size is kept
};

inline constexpr std::size_t kTrendParameters = 12;
using TrendVector = std::array<double, kTrendParameters>;  // unbounded coordinates, for the optimizer and the file

TrendVector to_vector(const Trend& trend);
Trend from_vector(const TrendVector& vector);

/// Which parameters the kind has (and whether fp8 timings cast).
std::vector<int> fitted_parameters(Kind kind, bool with_cast);

double seconds(const Trend& trend, const Load& load);

/// Slow-down by a last wave of tiles that is not full.
double quantised(const Trend& trend, double waves);

/// d ln(seconds) / d ln(arithmetic): 1 where arithmetic is all, 0 where traffic or launches hide it.
double arithmetic_share(const Trend& trend, const Load& load);

}  // namespace traincost::calibrate
