#pragma once

#include <vector>

#include <traincost/cost/layout.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::cost {

/// Seconds of one chunk (the layers of one virtual stage) for one micro-batch.
struct ChunkTimes {
  units::Seconds forward, input_grad /* recompute included */, weight_grad;
  units::Seconds forward_and_backward;  // a forward and another micro-batch's whole backward run together (DualPipe)
};

struct PipelineShape {
  Schedule schedule = Schedule::one_f_one_b;
  int stages = 1, chunks = 1 /* virtual stages per stage */, micro_batches = 1;
  units::Seconds send;  // of activations or their gradients between neighbours, not overlapped
};

/// What the busiest stage does during a step; the parts and the bubble sum to `makespan`.
struct PipelineTimes {
  int stage = 0;  // the busiest
  units::Seconds makespan, bubble;
  units::Seconds forward, input_grad, weight_grad, forward_and_backward;  // of that stage, alone or together
};

/// Simulates a step's pipeline, task by task. `times[stage][chunk]`; virtual stage of (stage, chunk) = chunk x stages +
/// stage. 1F1B and interleaved 1F1B: Narayanan et al., arXiv 2104.04473, section 2.2. Zero bubble: input gradients as
/// soon as they can, weight gradients into the gaps (Qi et al., arXiv 2401.10241). DualPipe: arXiv 2412.19437, figure
/// 5; it needs 2 micro-batches per stage, and an even number of stages; with fewer, zero bubble is simulated instead.
PipelineTimes simulate(const PipelineShape& shape, const std::vector<std::vector<ChunkTimes>>& times);

}  // namespace traincost::cost
