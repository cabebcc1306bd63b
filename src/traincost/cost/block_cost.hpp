#pragma once

#include <array>

#include <traincost/cost/layer.hpp>
#include <traincost/cost/memory.hpp>
#include <traincost/cost/pricing.hpp>

namespace traincost::cost {

/// Seconds of a list of kernels by role.
struct Tally {
  std::array<units::Seconds, kRoles> by_role{};
  std::array<double, kRoles> transfer_error{};  // seconds x log_sigma of kernels that were not measured on the chip
  std::array<calibrate::Origin, kRoles> origin{};
  double launches = 0, routed_launches = 0 /* of them */;

  [[nodiscard]] units::Seconds total() const;
  void add(const Tally& other, double times = 1);
};

/// A kernel's time within a step, and alone.
struct PricedKernel {
  units::Seconds seconds;
  calibrate::Timing timing;
};
std::vector<PricedKernel> price_kernels(const Pricing& pricing, const std::vector<Kernel>& kernels);

/// The four passes of a block, and the communication that belongs to each.
struct BlockCost {
  Tally forward, recomputed, input_grad, weight_grad;
  units::Seconds tensor_forward, tensor_backward;  // tensor-parallel collectives, exposed part
  units::Seconds context_forward, context_backward;
  units::Seconds expert_forward, expert_backward;  // all-to-all, whole
  units::Seconds gather_forward, gather_backward;  // ZeRO-3 parameter gathering and gradient scattering, exposed part
  units::Seconds host_forward, host_backward;      // waiting for launches

  void add(const BlockCost& other, double times = 1);
};

/// A block before it is known what is recomputed and how parameters are sharded.
struct BlockParts {
  Tally forward, replayed /* under selective recompute */, input_grad, weight_grad;
  Tally tail;                          // the part of forward that full recompute leaves out
  Tally summing;                       // on top of weight_grad where gradients are not sharded
  units::Seconds tensor, tensor_grad;  // collectives of a forward and of its gradients, exposed part
  units::Seconds context_gather;
  units::Seconds expert_forward, expert_backward;
  LocalParameters parameters;
  bool can_replay = true;
};

/// What a pipeline is made of. `dense` or `experts` is empty where the model has no such layer.
template <class Block>
struct BlocksOf {
  Block embedding, dense, experts, head;
};
using Blocks = BlocksOf<BlockCost>;

/// Does not depend on the layout's recompute, sharding, schedule and stages.
BlocksOf<BlockParts> block_parts(const Pricing& pricing);
Blocks block_costs(const Pricing& pricing, const BlocksOf<BlockParts>& parts);
BlockCost layer_cost(const Pricing& pricing, bool has_experts);

/// A block as its pipeline sees it.
struct BlockTimes {
  units::Seconds forward, input_grad, weight_grad;  // without the all-to-all
  units::Seconds expert_forward, expert_backward;   // all-to-all, whole
  units::Seconds kernels;                           // of them, computing
};
BlockTimes block_times(const BlockCost& cost);

}  // namespace traincost::cost
