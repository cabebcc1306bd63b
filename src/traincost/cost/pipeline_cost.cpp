#include <traincost/cost/pipeline_cost.hpp>

#include <algorithm>
#include <cmath>

#include <traincost/cost/network.hpp>

namespace traincost::cost {
namespace {

using units::Seconds;

constexpr double kActivationBytes = 2;

Seconds sum(const ChunkLayers& layers, const BlockTable& blocks, Seconds BlockTimes::*member) {
  Seconds total = blocks.dense.*member * layers.dense + blocks.experts.*member * layers.experts;
  if (layers.has_embedding) total += blocks.embedding.*member;
  if (layers.has_head) total += blocks.head.*member;
  return total;
}

}  // namespace

BlockTable block_table(const Blocks& blocks) {
  return {.embedding = block_times(blocks.embedding),
          .dense = block_times(blocks.dense),
          .experts = block_times(blocks.experts),
          .head = block_times(blocks.head)};
}

PipelinePlan pipeline_plan(const catalog::Model& model, const Layout& l) {
  PipelinePlan plan{.shape = {.schedule = l.schedule,
                              .stages = static_cast<int>(l.pipeline_par),
                              .chunks = static_cast<int>(l.interleave),
                              .micro_batches = static_cast<int>(std::ceil(micro_batches(l) - 1e-9))},
                    .chunks = chunk_plan(model, l)};
  plan.schedule = compiled(plan.shape, plan.chunks.kind_of_chunk);
  return plan;
}

Seconds send_seconds(const Pricing& pricing) {
  const auto& job = pricing.job;
  const auto& l = job.layout;
  if (l.pipeline_par <= 1 || job.stack.overlaps_pipeline) return {};
  const Network network(job.cluster, job.chip, pricing.efficiency, pricing.constants);
  const double senders = l.scatters_sends ? l.tensor_par : 1;
  const units::Bytes bytes{micro_batch_tokens(l) * job.model.hidden * kActivationBytes / senders};
  return network.send(bytes, pipeline_crosses_nodes(l, job.cluster)).seconds;
}

// DualPipe's pairs are no part of this: they hide it whatever the stack.
bool hides_exchange(const Job& job) {
  const auto& l = job.layout;
  if (l.schedule == Schedule::dual_pipe || job.stack.expert_overlap == Stack::ExpertOverlap::none) return false;
  if (job.stack.expert_overlap == Stack::ExpertOverlap::always) return true;
  const Group group = expert_group(l, job.cluster);
  return l.interleave > 1 && group.local < group.gpus;
}

ChunkTimes chunk_times(const Pricing& pricing, const ChunkLayers& layers, const BlockTable& blocks) {
  const auto of = [&](Seconds BlockTimes::*member) { return sum(layers, blocks, member); };
  ChunkTimes t{.forward = of(&BlockTimes::forward),
               .input_grad = of(&BlockTimes::input_grad),
               .weight_grad = of(&BlockTimes::weight_grad)};
  const Seconds expert_forward = of(&BlockTimes::expert_forward), expert_backward = of(&BlockTimes::expert_backward);
  // Together, one's exchange hides behind the other's compute, but for a rest.
  const Seconds compute = t.forward + t.input_grad + t.weight_grad;
  const Seconds exchange = expert_forward + expert_backward;
  t.forward_and_backward =
      units::max(compute, exchange) + units::min(compute, exchange) * pricing.constants.expert_exposed;
  const bool is_hidden = hides_exchange(pricing.job);
  const double share = is_hidden ? (t.forward_and_backward - compute) / units::max(exchange, Seconds{1e-12}) : 1;
  t.forward += expert_forward * share;
  t.input_grad += expert_backward * share;
  return t;
}

PipelineSums pipeline_sums(const PipelinePlan& plan, const BlockTable& blocks, const std::vector<ChunkTimes>& times,
                           Seconds makespan, int busiest) {
  const auto& load = plan.schedule->loads[busiest];
  PipelineSums sums{.makespan = makespan, .kernels = sum(plan.chunks.stages[load.stage], blocks, &BlockTimes::kernels)};
  if (load.is_mirrored) {
    const auto& mirror = plan.chunks.stages[plan.shape.stages - 1 - load.stage];
    sums.kernels = (sums.kernels + sum(mirror, blocks, &BlockTimes::kernels)) * 0.5;
  }
  sums.kernels *= plan.shape.micro_batches;
  const bool puts_off_weights =
      plan.shape.schedule == Schedule::zero_bubble || plan.shape.schedule == Schedule::dual_pipe;
  for (auto c = static_cast<std::size_t>(load.stage); c < plan.chunks.kind_of_chunk.size(); c += plan.shape.stages) {
    const auto& chunk = times[plan.chunks.kind_of_chunk[c]];
    sums.last_backward += chunk.weight_grad;
    if (!puts_off_weights) sums.last_backward += chunk.input_grad;
  }
  return sums;
}

PipelineCost pipeline_cost(const Pricing& pricing, const BlockTable& blocks) {
  PipelineCost cost{.plan = pipeline_plan(pricing.job.model, pricing.job.layout)};
  cost.plan.shape.send = send_seconds(pricing);
  std::vector<ChunkTimes> times;
  std::vector<std::array<double, 1>> all;
  for (const auto& kind : cost.plan.chunks.kinds) {
    times.push_back(chunk_times(pricing, kind, blocks));
    for (const double duration : durations(times.back())) all.push_back({duration});
  }
  cost.times = pipeline_times(*cost.plan.schedule, all, cost.plan.shape.send);
  const auto& loads = cost.plan.schedule->loads;
  const auto busiest = std::find_if(loads.begin(), loads.end(), [&](auto& l) { return l.stage == cost.times.stage; });
  cost.is_mirrored = busiest->is_mirrored;
  cost.sums = pipeline_sums(cost.plan, blocks, times, cost.times.makespan, static_cast<int>(busiest - loads.begin()));
  cost.first_pair = times[cost.plan.chunks.kind_of_chunk[cost.times.stage]].forward_and_backward;
  return cost;
}

}  // namespace traincost::cost
