#pragma once

#include <vector>

#include <traincost/calibrate/fitted.hpp>
#include <traincost/measure/row.hpp>

namespace traincost::calibrate {

/// Ratios between published attention rows of one chip, source and shape: backward to forward, head width 64 to 128.
/// Medians per architecture and over all.
std::vector<Ratio> fit_ratios(const std::vector<measure::Row>& published, const std::vector<catalog::Chip>& chips);

}  // namespace traincost::calibrate
