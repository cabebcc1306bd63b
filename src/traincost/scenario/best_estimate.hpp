#pragma once

#include <optional>

#include <traincost/cost/estimate.hpp>

namespace traincost::scenario {

/// The step of a model on `gpus` chips at the chip's own best layout: the published one or the fastest found, whichever
/// is faster and fits; nullopt if none fits or a figure is missing.
std::optional<cost::Estimate> best_estimate(const catalog::Model& model, const catalog::Chip& chip,
                                            const catalog::Cluster& cluster, double gpus,
                                            const calibrate::Efficiency& efficiency);

/// Model FLOP per second and GPU that it sustains.
double sustained_flops(const cost::Estimate& estimate);

}  // namespace traincost::scenario
