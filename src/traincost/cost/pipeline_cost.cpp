#include <traincost/cost/pipeline_cost.hpp>

#include <algorithm>
#include <cmath>

#include <traincost/cost/network.hpp>

namespace traincost::cost {
namespace {

using units::Seconds;

constexpr double kActivationBytes = 2;

PipelineShape shape_of(const Pricing& pricing) {
  const auto& job = pricing.job;
  const auto& l = job.layout;
  PipelineShape shape{.schedule = l.schedule,
                      .stages = static_cast<int>(l.pipeline_par),
                      .chunks = static_cast<int>(l.interleave),
                      .micro_batches = static_cast<int>(std::ceil(micro_batches(l) - 1e-9))};
  if (l.pipeline_par <= 1 || job.stack.overlaps_pipeline) return shape;
  const Network network(job.cluster, job.chip, pricing.efficiency, pricing.constants);
  const units::Bytes bytes{micro_batch_tokens(l) * job.model.hidden * kActivationBytes / l.tensor_par};
  shape.send = network.send(bytes, pipeline_crosses_nodes(l, job.cluster)).seconds;
  return shape;
}

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

ChunkLayers stage_layers(const std::vector<ChunkLayers>& chunks, int stages, int stage) {
  ChunkLayers all;
  for (int c = stage; c < static_cast<int>(chunks.size()); c += stages) {
    all.dense += chunks[c].dense;
    all.experts += chunks[c].experts;
    all.has_embedding = all.has_embedding || chunks[c].has_embedding;
    all.has_head = all.has_head || chunks[c].has_head;
  }
  return all;
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
  const bool is_hidden = pricing.job.stack.overlaps_expert_par && pricing.job.layout.schedule != Schedule::dual_pipe;
  const double share = is_hidden ? (t.forward_and_backward - compute) / units::max(exchange, Seconds{1e-12}) : 1;
  t.forward += expert_forward * share;
  t.input_grad += expert_backward * share;
  return t;
}

PipelineCost pipeline_cost(const Pricing& pricing, const BlockTable& blocks) {
  PipelineCost cost{.shape = shape_of(pricing)};
  const auto& shape = cost.shape;
  const auto chunks = chunk_layers(pricing.job.model, pricing.job.layout);
  std::vector<std::vector<ChunkTimes>> times(shape.stages, std::vector<ChunkTimes>(shape.chunks));
  for (int c = 0; c < static_cast<int>(chunks.size()); ++c)
    times[c % shape.stages][c / shape.stages] = chunk_times(pricing, chunks[c], blocks);
  cost.times = simulate(shape, times);
  cost.is_mirrored = cost.times.forward_and_backward.value > 0;

  const int stage = cost.times.stage;
  const auto kernels = [&](int s) { return sum(stage_layers(chunks, shape.stages, s), blocks, &BlockTimes::kernels); };
  cost.kernels = kernels(stage);
  if (cost.is_mirrored) cost.kernels = (cost.kernels + kernels(shape.stages - 1 - stage)) * 0.5;
  cost.kernels *= shape.micro_batches;
  for (const auto& t : times[stage]) cost.last_backward += t.input_grad + t.weight_grad;
  cost.first_pair = times[stage][0].forward_and_backward;
  return cost;
}

}  // namespace traincost::cost
