#include <traincost/calibrate/trend.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::calibrate {
namespace {
enum Parameter { kLaunch, kCompute, kMemory, kSharpness, kDepth, kWave, kTile1, kTile2, kTile3, kCast };

constexpr double kMinCast = 1e-6;  // passes; below any timing's resolution

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double logit(double y) { return std::log(y / (1 - y)); }

double arithmetic_seconds(const Trend& t, const Load& l) {
  double best = 0, loss = 1;
  std::size_t rank = 0;
  for (std::size_t i = 0; i < l.tiling_count; ++i) {
    const auto& tiling = l.tilings[i];
    for (; rank < tiling.rank; ++rank) loss *= 1 + t.tile_loss[rank];
    double waves = tiling.waves;
    if (waves < 0.5 && l.max_splits > 1) waves *= std::min(std::floor(1 / waves), l.max_splits);
    const double quantised = (1 - t.wave_share) + t.wave_share * std::ceil(waves) / waves;
    const double cost = tiling.seconds * loss * quantised;
    if (i == 0 || cost < best) best = cost;
  }
  return best * (1 + t.depth_half / l.depth) / t.compute_efficiency;
}

}  // namespace

TrendVector to_vector(const Trend& t) {
  return {std::log(t.launch_s * 1e6),    std::log(t.compute_efficiency),
          std::log(t.memory_efficiency), std::log(t.sharpness - 1),
          std::log(t.depth_half),        logit(t.wave_share),
          std::log(t.tile_loss[0]),      std::log(t.tile_loss[1]),
          std::log(t.tile_loss[2]),      std::log(std::max(t.cast_passes, kMinCast))};
}

Trend from_vector(const TrendVector& v) {
  return {.launch_s = 1e-6 * std::exp(v[kLaunch]),
          .compute_efficiency = std::exp(v[kCompute]),
          .memory_efficiency = std::exp(v[kMemory]),
          .sharpness = 1 + std::exp(v[kSharpness]),
          .depth_half = std::exp(v[kDepth]),
          .wave_share = logistic(v[kWave]),
          .tile_loss = {std::exp(v[kTile1]), std::exp(v[kTile2]), std::exp(v[kTile3])},
          .cast_passes = std::exp(v[kCast])};
}

std::vector<int> fitted_parameters(Kind kind, bool with_cast) {
  switch (kind) {
    case Kind::gemm:
    case Kind::moe_mlp: {
      std::vector<int> all{kLaunch, kCompute, kMemory, kSharpness, kDepth, kWave, kTile1, kTile2, kTile3};
      if (with_cast) all.push_back(kCast);
      return all;
    }
    case Kind::attention:
    case Kind::attention_mla:
    case Kind::decode:
    case Kind::decode_mla:
      return {kLaunch, kCompute, kMemory, kSharpness, kDepth, kWave};
    default:
      return {kLaunch, kMemory};
  }
}

double seconds(const Trend& t, const Load& l) {
  const double overhead = t.launch_s * l.launches + t.cast_passes * l.cast_s;
  const double traffic = l.bytes_s / t.memory_efficiency;
  if (l.tiling_count == 0) return overhead + traffic;
  const double arithmetic = arithmetic_seconds(t, l);
  const double high = std::max(arithmetic, traffic), ratio = std::min(arithmetic, traffic) / high;
  return overhead + high * std::exp(std::log1p(std::pow(ratio, t.sharpness)) / t.sharpness);
}

}  // namespace traincost::calibrate
