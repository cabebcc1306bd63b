#include <traincost/calibrate/trend.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::calibrate {
namespace {
enum Parameter { kLaunch, kCompute, kMemory, kSharpness, kDepth, kWave, kTile1, kTile2, kTile3, kCast, kGain, kShare };

constexpr double kMinCast = 1e-6;  // passes; below any timing's resolution

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double logit(double y) { return std::log(y / (1 - y)); }

// Share of the traffic that the cache serves when the same operation runs again and again, as timings do.
double kept(const Trend& t, const Load& l) {
  constexpr double kSteepness = 6;  // a set of twice the cache is hardly kept at all
  return l.cache_ratio > 0 ? logistic(-kSteepness * std::log(l.cache_ratio / t.cache_share)) : 0;
}

double arithmetic_seconds(const Trend& t, const Load& l) {
  double best = 0, loss = 1;
  std::size_t rank = 0;
  for (std::size_t i = 0; i < l.tiling_count; ++i) {
    const auto& tiling = l.tilings[i];
    for (; rank < tiling.rank; ++rank) loss *= 1 + t.tile_loss[rank];
    double waves = tiling.waves;
    if (waves < 0.5 && l.max_splits > 1) waves *= std::min(std::floor(1 / waves), l.max_splits);
    const double cost = tiling.seconds * loss * quantised(t, waves);
    if (i == 0 || cost < best) best = cost;
  }
  return best * (1 + t.depth_half / l.depth) / t.compute_efficiency;
}

double overhead_seconds(const Trend& t, const Load& l) { return t.launch_s * l.launches + t.cast_passes * l.cast_s; }

double traffic_seconds(const Trend& t, const Load& l) {
  return l.bytes_s / t.memory_efficiency * (1 - kept(t, l) * t.cache_gain / (1 + t.cache_gain));
}

double joined(const Trend& t, double arithmetic, double traffic) {
  const double high = std::max(arithmetic, traffic), ratio = std::min(arithmetic, traffic) / high;
  return high * std::exp(std::log1p(std::pow(ratio, t.sharpness)) / t.sharpness);
}

}  // namespace

TrendVector to_vector(const Trend& t) {
  return {std::log(t.launch_s * 1e6),    std::log(t.compute_efficiency),
          std::log(t.memory_efficiency), std::log(t.sharpness - 1),
          std::log(t.depth_half),        logit(t.wave_share),
          std::log(t.tile_loss[0]),      std::log(t.tile_loss[1]),
          std::log(t.tile_loss[2]),      std::log(std::max(t.cast_passes, kMinCast)),
          std::log(t.cache_gain),        std::log(t.cache_share)};
}

Trend from_vector(const TrendVector& v) {
  return {.launch_s = 1e-6 * std::exp(v[kLaunch]),
          .compute_efficiency = std::exp(v[kCompute]),
          .memory_efficiency = std::exp(v[kMemory]),
          .sharpness = 1 + std::exp(v[kSharpness]),
          .depth_half = std::exp(v[kDepth]),
          .wave_share = logistic(v[kWave]),
          .tile_loss = {std::exp(v[kTile1]), std::exp(v[kTile2]), std::exp(v[kTile3])},
          .cast_passes = std::exp(v[kCast]),
          .cache_gain = std::exp(v[kGain]),
          .cache_share = std::exp(v[kShare])};
}

std::vector<int> fitted_parameters(Kind kind, bool with_cast) {
  std::vector<int> fitted{kLaunch, kMemory};
  if (uses_compute(kind)) fitted.insert(fitted.end(), {kCompute, kSharpness, kDepth, kWave});
  if (kind == Kind::gemm || kind == Kind::moe_mlp) fitted.insert(fitted.end(), {kTile1, kTile2, kTile3, kGain, kShare});
  if (with_cast) fitted.push_back(kCast);
  return fitted;
}

double quantised(const Trend& t, double waves) { return (1 - t.wave_share) + t.wave_share * std::ceil(waves) / waves; }

double seconds(const Trend& t, const Load& l) {
  const double overhead = overhead_seconds(t, l), traffic = traffic_seconds(t, l);
  return overhead + (l.tiling_count == 0 ? traffic : joined(t, arithmetic_seconds(t, l), traffic));
}

double arithmetic_share(const Trend& t, const Load& l) {
  if (l.tiling_count == 0) return 0;
  const double arithmetic = arithmetic_seconds(t, l), both = joined(t, arithmetic, traffic_seconds(t, l));
  return std::pow(arithmetic / both, t.sharpness) * both / (overhead_seconds(t, l) + both);
}

}  // namespace traincost::calibrate
