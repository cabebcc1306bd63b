#include <traincost/cost/bill.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::cost {
namespace {

using calibrate::Origin;
using units::Seconds;

// Less than a part in a million is rounding of the bill, not a part.
constexpr double kRounding = 1e-6;

}  // namespace

StepTotal step_total(const Pricing& pricing, const PipelineSums& pipeline, const UpdateCost& update,
                     const HostTraffic& traffic) {
  StepTotal total{.pipeline = pipeline.makespan,
                  .gradients = exposed_gradients(pricing, update.gradients, pipeline.last_backward),
                  .optimizer = update.optimizer,
                  .offload = offload_seconds(traffic, pipeline.makespan)};
  const double nodes = std::max(1.0, pricing.job.layout.gpus / pricing.job.cluster.gpus_per_node);
  total.stragglers = total.seconds() * (pricing.constants.spread_per_doubling * std::log2(nodes));
  return total;
}

BlockCost busy_blocks(const Blocks& blocks, const PipelineCost& pipeline) {
  const auto& plan = pipeline.plan;
  BlockCost busy;
  const auto spend = [&](int stage, double micro_batches) {
    const auto& layers = plan.chunks.stages[stage];
    if (layers.has_embedding) busy.add(blocks.embedding, micro_batches);
    busy.add(blocks.dense, layers.dense * micro_batches);
    busy.add(blocks.experts, layers.experts * micro_batches);
    if (layers.has_head) busy.add(blocks.head, micro_batches);
  };
  const double share = pipeline.is_mirrored ? 0.5 : 1;
  spend(pipeline.times.stage, plan.shape.micro_batches * share);
  if (pipeline.is_mirrored) spend(plan.shape.stages - 1 - pipeline.times.stage, plan.shape.micro_batches * share);
  return busy;
}

std::vector<Part> bill(const BlockCost& busy, const PipelineCost& pipeline, const StepTotal& total) {
  std::vector<Part> parts;
  const auto add = [&](std::string_view name, Category category, Seconds seconds, Origin origin) {
    if (std::abs(seconds.value) > kRounding * total.pipeline.value)
      parts.push_back({std::string(name), category, seconds, origin});
  };
  Tally compute = busy.forward;
  compute.add(busy.input_grad);
  compute.add(busy.weight_grad);
  for (std::size_t i = 0; i < kRoles; ++i)
    add(to_string(static_cast<Role>(i)), Category::compute, compute.by_role[i], compute.origin[i]);
  const Origin worst = *std::max_element(compute.origin.begin(), compute.origin.end());
  const Seconds recomputed = busy.recomputed.total(), tensor = busy.tensor_forward + busy.tensor_backward,
                context = busy.context_forward + busy.context_backward,
                gather = busy.gather_forward + busy.gather_backward, host = busy.host_forward + busy.host_backward;
  const Seconds known = compute.total() + recomputed + tensor + context + gather + host;
  add("recompute", Category::compute, recomputed, worst);
  add("tensor-parallel collectives (exposed)", Category::communication, tensor, Origin::measured);
  add("context-parallel gathering (exposed)", Category::communication, context, Origin::measured);
  add("parameter gathering (exposed)", Category::communication, gather, Origin::measured);
  add("expert all-to-all (exposed)", Category::communication, total.pipeline - pipeline.times.bubble - known,
      Origin::transferred);
  add("host launches", Category::overhead, host, Origin::measured);
  add("pipeline bubble", Category::bubble, pipeline.times.bubble, worst);
  add("gradient reduction (exposed)", Category::communication, total.gradients, Origin::transferred);
  add("optimizer", Category::compute, total.optimizer, Origin::measured);
  add("offloading to the host (exposed)", Category::communication, total.offload, Origin::datasheet);
  add("stragglers and contention", Category::overhead, total.stragglers, Origin::measured);
  return parts;
}

}  // namespace traincost::cost
