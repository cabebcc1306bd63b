#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/cost/interval.hpp>
#include <traincost/cost/layout.hpp>

namespace traincost::cost {

/// One line of the bill of a step: seconds of the critical path on the busiest GPU.
struct Part {
  std::string name;      // "attention forward", "expert all-to-all (exposed)", "pipeline bubble", "optimizer" ...
  std::string category;  // compute, communication, bubble, overhead
  units::Seconds seconds;
  calibrate::Origin origin = calibrate::Origin::measured;
};

/// Memory of the fullest GPU, bytes.
struct Memory {
  double parameters = 0, gradients = 0, optimizer = 0, activations = 0, buffers = 0;
  double total() const { return parameters + gradients + optimizer + activations + buffers; }
};

struct StepCost {
  Interval seconds;         // of one optimizer step
  std::vector<Part> parts;  // sum to seconds.p50
  Memory memory;            // peak allocated
  double model_flops = 0;   // of the step over all GPUs, without recompute, causal pairs counted once
  double mfu = 0;           // model_flops / (seconds x gpus x dense peak of the precision used)
  double busy_fraction = 0; // share of the step in which the GPU computes (for power)
};

/// Time, parts and memory of one optimizer step. Throws InputError if the layout cannot be (does not divide, a chip
/// figure is missing). A layout that does not fit the memory is still priced; see `Memory`.
StepCost step(const catalog::Model& model, const catalog::Cluster& cluster, const catalog::Chip& chip,
              const Layout& layout, const calibrate::Efficiency& efficiency);

}  // namespace traincost::cost
