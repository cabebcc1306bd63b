#include <traincost/cost/stages.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::cost {
namespace {

bool has_experts(const catalog::Model& m, int layer) {
  if (!catalog::is_moe(m) || layer < m.dense_layers) return false;
  return std::fmod(layer - m.dense_layers + 1, std::max(1.0, m.moe_every)) == 0;
}

// What head, loss and multi-token-prediction modules cost, in layers of this model (by parameters that a token uses).
double last_chunk_extra(const catalog::Model& m) {
  const double head = m.vocab * m.hidden;
  const double layer = (catalog::active_params(m) - head) / m.layers;
  return m.mtp_layers + (1 + m.mtp_layers) * head / layer;
}

// Layers per chunk.
std::vector<int> split(const catalog::Model& m, int chunks) {
  const int layers = static_cast<int>(m.layers);
  if (layers % chunks == 0) return std::vector<int>(chunks, layers / chunks);
  const double extra = last_chunk_extra(m);
  const double share = (layers + extra) / chunks;
  const int last = std::clamp(static_cast<int>(std::round(share - extra)), 0, layers / chunks);
  const int others = chunks - 1;
  const int rest = (layers - last) % others;
  const int first_longer = (others - rest) / 2;
  std::vector<int> result(chunks, (layers - last) / others);
  for (int i = 0; i < rest; ++i) ++result[first_longer + i];
  result.back() = last;
  return result;
}

}  // namespace

std::vector<ChunkLayers> chunk_layers(const catalog::Model& m, const Layout& l) {
  const int chunks = static_cast<int>(l.pipeline_par * l.interleave);
  const auto counts = split(m, chunks);
  std::vector<ChunkLayers> result(chunks);
  int layer = 0;
  for (int c = 0; c < chunks; ++c)
    for (int i = 0; i < counts[c]; ++i, ++layer) ++(has_experts(m, layer) ? result[c].experts : result[c].dense);
  result.front().has_embedding = result.back().has_head = true;
  (catalog::is_moe(m) ? result.back().experts : result.back().dense) += m.mtp_layers;
  return result;
}

ChunkPlan chunk_plan(const catalog::Model& m, const Layout& l) {
  ChunkPlan plan;
  const auto chunks = chunk_layers(m, l);
  const auto stages = static_cast<std::size_t>(l.pipeline_par);
  plan.stages.resize(stages);
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const auto known = std::find(plan.kinds.begin(), plan.kinds.end(), chunks[c]);
    plan.kind_of_chunk.push_back(static_cast<int>(known - plan.kinds.begin()));
    if (known == plan.kinds.end()) plan.kinds.push_back(chunks[c]);
    auto& stage = plan.stages[c % stages];
    stage.dense += chunks[c].dense;
    stage.experts += chunks[c].experts;
    stage.has_embedding = stage.has_embedding || chunks[c].has_embedding;
    stage.has_head = stage.has_head || chunks[c].has_head;
  }
  return plan;
}

}  // namespace traincost::cost
