#pragma once

#include <vector>

#include <traincost/calibrate/fitted.hpp>
#include <traincost/measure/published.hpp>

namespace traincost::calibrate {

/// Ratios between published attention rows of one chip, benchmark and shape: backward to forward, head width 64 to 128;
/// and of forward rows in one-byte formats to `efficiency`, whose tables time the kernels of inference (they cast too).
/// A row that times both passes is split by its own forward row, else by the forward time of `efficiency`. Medians per
/// architecture and over all.
std::vector<Ratio> fit_ratios(const measure::Published& published, const std::vector<catalog::Chip>& chips,
                              const Efficiency& efficiency);

}  // namespace traincost::calibrate
