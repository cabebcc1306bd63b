#pragma once

#include <traincost/cost/memory.hpp>
#include <traincost/cost/pricing.hpp>

namespace traincost::cost {

/// What follows the last micro-batch, once a step.
struct UpdateCost {
  units::Seconds gradients;  // their sum over the data-parallel ranks, whole
  units::Seconds optimizer;
};
/// `parameters` of the stage that holds most.
UpdateCost update_cost(const Pricing& pricing, const LocalParameters& parameters);

/// Waiting for the host's memory: for the optimizer's states, and for what the pipeline does not outlast.
units::Seconds offload_seconds(const HostTraffic& traffic, units::Seconds pipeline);

/// What is left of the gradients' sum behind the backward of the last micro-batch, where the software can overlap.
units::Seconds exposed_gradients(const Pricing& pricing, units::Seconds whole, units::Seconds last_backward);

}  // namespace traincost::cost
