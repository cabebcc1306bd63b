#pragma once

#include <optional>

#include <traincost/calibrate/surface.hpp>

namespace traincost::calibrate {

/// Lifts and lowers node values until the time of more rows, columns or depth is never less than that of fewer, at the
/// nodes of the grid: pool-adjacent-violators along each axis of a GEMM or an expert product. Noise among timings that
/// the launch dominates would otherwise make a larger product look cheaper.
void make_monotone(Surface& surface, const Figures& figures);

/// Lowers the nodes of a profile, few tiles being the less certain, until twice the tiles, in the waves that the trend
/// makes of them, take no less. Nearer counts may: libraries know tiles that divide one better than the other.
void make_monotone(Grid& profile, const Trend& trend);

/// The operation that a node stands for; nullopt where shape coordinates do not name one (or no axis is monotone).
std::optional<work::Op> op_at(Kind kind, const Coordinates& at);

}  // namespace traincost::calibrate
