#pragma once

#include <vector>

#include <traincost/cost/block_cost.hpp>
#include <traincost/cost/schedule.hpp>
#include <traincost/cost/stages.hpp>

namespace traincost::cost {

/// The blocks of one pipeline as it sees them.
struct BlockTable {
  BlockTimes embedding, dense, experts, head;
};
BlockTable block_table(const Blocks& blocks);

/// All micro-batches of a step through all stages.
struct PipelineCost {
  PipelineShape shape;
  PipelineTimes times;
  bool is_mirrored = false;      // DualPipe: half of the micro-batches flow through the stage's mirror image
  units::Seconds last_backward;  // of one micro-batch on the busiest stage
  units::Seconds first_pair;     // of its first chunk: forward_and_backward
  units::Seconds kernels;        // that the busiest stage computes
};
PipelineCost pipeline_cost(const Pricing& pricing, const BlockTable& blocks);

/// A chunk's times: the all-to-all hides behind another micro-batch where software and schedule can.
ChunkTimes chunk_times(const Pricing& pricing, const ChunkLayers& layers, const BlockTable& blocks);

/// All that lies on one stage.
ChunkLayers stage_layers(const std::vector<ChunkLayers>& chunks, int stages, int stage);

}  // namespace traincost::cost
