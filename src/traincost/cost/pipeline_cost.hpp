#pragma once

#include <vector>

#include <traincost/cost/block_cost.hpp>
#include <traincost/cost/compiled_schedule.hpp>
#include <traincost/cost/stages.hpp>

namespace traincost::cost {

/// The blocks of one pipeline as it sees them.
struct BlockTable {
  BlockTimes embedding, dense, experts, head;
};
BlockTable block_table(const Blocks& blocks);

/// What runs where and in which order: decided by model, stages, chunks, schedule and micro-batches alone.
struct PipelinePlan {
  PipelineShape shape;
  ChunkPlan chunks;
  std::shared_ptr<const CompiledSchedule> schedule;
};
PipelinePlan pipeline_plan(const catalog::Model& model, const Layout& layout);

/// Of activations or their gradients between neighbours; nothing where the software hides it.
units::Seconds send_seconds(const Pricing& pricing);

/// A chunk's times: the all-to-all hides behind another micro-batch where software and schedule can.
ChunkTimes chunk_times(const Pricing& pricing, const ChunkLayers& layers, const BlockTable& blocks);

/// What the sum of a step takes from its pipeline.
struct PipelineSums {
  units::Seconds makespan;
  units::Seconds last_backward;  // of one micro-batch on the busiest stage
  units::Seconds kernels;        // that the busiest stage computes
};
/// `times` [kinds of chunks]; `busiest` as run() tells.
PipelineSums pipeline_sums(const PipelinePlan& plan, const BlockTable& blocks, const std::vector<ChunkTimes>& times,
                           units::Seconds makespan, int busiest);

/// All micro-batches of a step through all stages.
struct PipelineCost {
  PipelinePlan plan;
  PipelineTimes times;
  PipelineSums sums;
  bool is_mirrored = false;   // DualPipe: half of the micro-batches flow through the stage's mirror image
  units::Seconds first_pair;  // of the busiest stage's first chunk: forward_and_backward
};
PipelineCost pipeline_cost(const Pricing& pricing, const BlockTable& blocks);

}  // namespace traincost::cost
