#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <traincost/calibrate/grid.hpp>
#include <traincost/calibrate/trend.hpp>

namespace traincost::calibrate {

/// A timing that a surface is fitted to: the fastest provider of one shape.
struct Truth {
  work::Op op;
  Load load;  // on the chip that was timed, cast included
  double seconds = 0;
  double spread = 0;  // ln(median provider / fastest); 0 with one provider
  double second = 0;  // seconds of the next fastest provider; 0 with one provider
};

/// ln(real / predicted): what the fit leaves.
struct Quantiles {
  double p5 = 0, p50 = 0, p95 = 0;
};

/// Time of one kind of operation in one element format on one chip: trend x exp(grid + profile).
struct Surface {
  Kind kind = Kind::gemm;
  work::Dtype dtype = work::Dtype::bf16;
  std::string chip;  // id, or a pool of chips
  Trend trend;
  Grid grid;
  // Over Load::cut: what the libraries make of each count of tiles, which jumps too often for a grid and at other
  // counts where there are more SMs or fewer.
  Grid profile;
  double sm_count = 0;
  double watts_per_flops = 0;  // of its chips, see Figures; of a pool their geometric mean
  std::size_t shapes = 0;
  Quantiles residual;
  double residual_sigma = 0;  // robust standard deviation of the residuals
  double provider_sigma = 0;  // typical ln distance of the median provider from the fastest
};
/// All timed chips with stacked memory together, and all without: kernels, caches and limits differ more between
/// these than between makers.
inline constexpr const char* kStackedPool = "*stacked";
inline constexpr const char* kPlanarPool = "*planar";

inline bool is_pool(std::string_view chip) { return chip.starts_with('*'); }

double seconds(const Surface& surface, const Load& load);

/// Fits trend (Ceres, robust loss), then the grid of what it leaves, monotone for a chip with `figures`; for GEMMs
/// beside it the profile, but not of a pool, whose chips jump at counts of their own. Throws InputError on no truths.
Surface fit_surface(Kind kind, work::Dtype dtype, const std::string& chip, const std::vector<Truth>& truths,
                    const Figures& figures);

/// Do the timings of this kind and format include a pass over their activations (a cast; rotary and cache for
/// attention)?
bool casts_inside(Kind kind, work::Dtype dtype);

}  // namespace traincost::calibrate
