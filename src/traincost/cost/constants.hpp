#pragma once

#include <array>
#include <string_view>
#include <vector>

namespace traincost::cost {

/// The few numbers that no kernel timing gives, shared by all runs (none belongs to a framework's name, a family or a
/// row). Fitted by `traincost calibrate --steps` on published steps, held in results/calibration/step.json.
struct Constants {
  double compute_slowdown = 1.08;      // a kernel in a step / the same kernel alone (power, cache, clocks)
  double yearly_gain = 0.02;          // kernels of a stack one year older are slower by this share
  double wgrad_fp8_slowdown = 1.35;    // fp8 weight gradient / forward product of the same FLOPs
  double eager_passes = 2.0;           // elementwise traffic of eager code / fused code
  double compiled_passes = 1.2;        // of torch.compile / fused code
  double host_seconds = 6e-5;          // host time per kernel launch where Python drives each kernel
  double network_efficiency = 0.75;    // achieved / stated network bandwidth, collectives
  double tensor_exposed = 0.4;         // share of tensor-parallel collectives left when overlapped
  double data_exposed = 0.15;          // share of data-parallel collectives left when overlapped
  double expert_exposed = 0.08;        // share of the all-to-all left when overlapped with another micro-batch
  double old_attention = 1.5;          // FlashAttention 2 / newest kernel, Hopper
  double dropless_imbalance = 1.12;    // busiest expert group / mean, real routing
  double spread_per_doubling = 0.004;  // slowdown per doubling of the nodes (stragglers, contention)
  double step_log_sigma = 0.1;         // ln(real / predicted) of whole steps, out of family
};

/// Names and members, for the fit and for JSON.
struct ConstantField {
  std::string_view name;
  double Constants::*member;
  double low, high;  // physically possible
};
const std::vector<ConstantField>& constant_fields();

const Constants& default_constants();

}  // namespace traincost::cost
