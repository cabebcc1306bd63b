#pragma once

#include <vector>

#include <traincost/cost/pipeline_cost.hpp>
#include <traincost/cost/step.hpp>
#include <traincost/cost/update.hpp>

namespace traincost::cost {

/// The sum of a step.
struct StepTotal {
  units::Seconds pipeline, gradients /* exposed */, optimizer;
  units::Seconds offload;
  units::Seconds stragglers;  // and contention, growing with the nodes
  [[nodiscard]] units::Seconds seconds() const { return pipeline + gradients + optimizer + offload + stragglers; }
};
StepTotal step_total(const Pricing& pricing, const PipelineSums& pipeline, const UpdateCost& update,
                     const HostTraffic& traffic);

/// What the busiest stage did, block by block. A mirrored stage counts as half of each of its two positions.
BlockCost busy_blocks(const Blocks& blocks, const PipelineCost& pipeline);

/// The parts of the step; they sum to it.
std::vector<Part> bill(const BlockCost& busy, const PipelineCost& pipeline, const StepTotal& total);

}  // namespace traincost::cost
