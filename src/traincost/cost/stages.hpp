#pragma once

#include <vector>

#include <traincost/catalog/model.hpp>
#include <traincost/cost/layout.hpp>

namespace traincost::cost {

/// What one chunk (virtual stage) of the pipeline holds. Chunk c lies on stage c % pipeline_par.
struct ChunkLayers {
  double dense = 0, experts = 0;  // layers, multi-token-prediction modules included
  bool has_embedding = false, has_head = false;
  bool operator==(const ChunkLayers&) const = default;
};

/// [pipeline_par x interleave] Whole layers, evenly where they divide, as the frameworks do by default. Where they do
/// not, the last chunk gets fewer by what its head and multi-token-prediction modules cost in layers, and the longer
/// ones lie in the middle. The first `dense_layers` have no experts.
std::vector<ChunkLayers> chunk_layers(const catalog::Model& model, const Layout& layout);

/// The same, with chunks that hold the same told apart once.
struct ChunkPlan {
  std::vector<ChunkLayers> kinds;
  std::vector<int> kind_of_chunk;   // [pipeline_par x interleave]
  std::vector<ChunkLayers> stages;  // [pipeline_par] all that lies on a stage
};
ChunkPlan chunk_plan(const catalog::Model& model, const Layout& layout);

}  // namespace traincost::cost
