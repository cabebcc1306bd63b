#pragma once

#include <array>
#include <string_view>
#include <vector>

namespace traincost::cost {

/// The few numbers that no kernel timing gives, shared by all runs (none belongs to a framework's name, a family or a
/// row). Fitted by `traincost calibrate --steps` on published steps, held in results/calibration/step.json.
struct Constants {
  double compute_slowdown = 1.08;      // a kernel in a step / the same kernel alone (power, cache, clocks)
  double throttle = 0.1;               // slowdown of products per unit of power that is short; see power_shortage
  double throttle_fp8 = 0.1;           // of products in fp8, whose operands move half the bits per FLOP
  double materialised_passes = 1.3;    // traffic of attention scores / the passes counted in layer.cpp
  double yearly_gain = 0.02;           // kernels of a stack one year older are slower by this share
  double eager_passes = 2.0;           // elementwise traffic of eager code / fused code
  double compiled_passes = 1.2;        // of torch.compile / fused code
  double host_seconds = 3.5e-5;        // host time per kernel launch, Python driving each kernel
  double host_yearly_gain = 0.25;      // launches of a stack one year older take longer by this share
  double network_efficiency = 0.75;    // achieved / stated network bandwidth, collectives
  double tensor_exposed = 0.4;         // share of tensor-parallel collectives left when overlapped
  double data_exposed = 0.15;          // share of data-parallel collectives left when overlapped
  double expert_exposed = 0.08;        // share of the all-to-all left when overlapped with another micro-batch
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
