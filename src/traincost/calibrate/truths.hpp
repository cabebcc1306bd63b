#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <traincost/calibrate/surface.hpp>
#include <traincost/catalog/chip.hpp>
#include <traincost/measure/row.hpp>

namespace traincost::calibrate {

using SurfaceKey = std::tuple<Kind, work::Dtype, std::string>;  // chip last
using Truths = std::map<SurfaceKey, std::vector<Truth>>;

/// Data-sheet power over the dense rate that it goes with; 0: unknown.
double watts_per_flops(const catalog::Chip& chip, work::Dtype dtype);

/// The figures that a kind leans on. A link is the scale-up link, else the host's. Throws InputError naming the
/// missing.
Figures figures(const catalog::Chip& chip, Kind kind, work::Dtype dtype);

/// ln: a library that is slower than this is not the one that a training run uses.
inline constexpr double kMaxSpread = 0.25;

/// One truth per (chip, operation, format): the fastest of the providers that timed the shape. A training stack picks
/// its library per operation, so the floor is what it gets; how far the median provider lies above is kept as spread.
/// Rows of unresolved chips, or of formats that the chip lacks, are left out.
Truths merge(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips);

}  // namespace traincost::calibrate
