#pragma once

#include <array>
#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/constants.hpp>
#include <traincost/cost/interval.hpp>
#include <traincost/cost/job.hpp>
#include <traincost/cost/layer.hpp>
#include <traincost/cost/memory.hpp>

namespace traincost::cost {

enum class Category { compute, communication, bubble, overhead };
std::string_view to_string(Category category);

/// One line of the bill of a step: seconds on the busiest stage.
struct Part {
  std::string name;  // "attention", "recompute", "expert all-to-all", "pipeline bubble", ...
  Category category = Category::compute;
  units::Seconds seconds;
  calibrate::Origin origin = calibrate::Origin::measured;
};

/// How a pipeline spent its time, for comparison with traces that are told apart this way.
struct PipelineParts {
  units::Seconds forward, input_grad, weight_grad, forward_and_backward, bubble, optimizer;
};

struct StepCost {
  Interval seconds;         // of one optimizer step
  double log_sigma = 0;     // of ln(real / p50)
  std::vector<Part> parts;  // sum to seconds.p50
  PipelineParts pipeline;
  Memory memory;
  double model_flops = 0;         // over all GPUs, forward and backward, nothing recomputed, causal pairs only
  double mfu = 0;                 // model_flops / (seconds x gpus x dense peak of the precision used)
  double busy_fraction = 0;       // share of the step in which the GPU computes
  double stage_pair_seconds = 0;  // forward and backward of one micro-batch on the busiest stage
};

/// Time, parts and memory of one optimizer step. Throws InputError if the layout cannot be or a chip figure is missing.
/// A layout that does not fit into memory is priced all the same: see `memory`.
StepCost step(const Job& job, const calibrate::ChipEfficiency& efficiency,
              const Constants& constants = default_constants());
StepCost step(const Job& job, const calibrate::Efficiency& efficiency,
              const Constants& constants = default_constants());

/// One layer's forward and backward for one micro-batch, as a trace of kernels shows it.
struct LayerTimes {
  std::array<units::Seconds, kRoles> by_role;  // recomputation included
  units::Seconds exchange;                     // expert all-to-all, whole
  units::Seconds pair;                         // forward and another micro-batch's backward run together
};
LayerTimes layer_times(const Job& job, bool has_experts, const calibrate::ChipEfficiency& efficiency,
                       const Constants& constants = default_constants());

}  // namespace traincost::cost
