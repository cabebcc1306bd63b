#include <traincost/cost/memory.hpp>

#include <algorithm>
#include <cmath>

#include <traincost/cost/layer.hpp>

namespace traincost::cost {
namespace {

using catalog::AttentionKind;
using catalog::FfnKind;

constexpr double kParameterBytes = 2;
constexpr double kGradientBytes = 4;
constexpr double kOptimizerBytes = 12;      // fp32 master copy and two moments
constexpr double kBlockOptimizerBytes = 8;  // DeepSeek's recipe: moments in bf16 (arXiv 2412.19437, section 3.3.3)
constexpr double kActivation = 2;
constexpr double kUsable = 0.97;  // of the memory: the driver's context and libraries take the rest
// CUDA context, NCCL and cuBLAS workspaces are not allocated by the framework; what it keeps for communication is
// small.
constexpr double kBufferBytes = 1.0e9;

double attention_parameters(const catalog::Model& m) {
  if (m.attention != AttentionKind::mla) return m.hidden * m.head_dim * (2 * m.heads + 2 * m.kv_heads);
  const double query =
      m.q_lora_rank > 0 ? m.q_lora_rank * (m.hidden + m.heads * m.head_dim) : m.hidden * m.heads * m.head_dim;
  return query + m.hidden * (m.kv_lora_rank + m.rope_dim) +
         m.kv_lora_rank * m.heads * (m.head_dim - m.rope_dim + m.v_head_dim) + m.heads * m.v_head_dim * m.hidden;
}

double matrices(const catalog::Model& m) { return m.ffn_kind == FfnKind::swiglu ? 3 : 2; }

// A weight's gradient is written in fp32 before it is added to the sum.
double largest_gradient(const Job& job) {
  const auto& m = job.model;
  const double gates = m.ffn_kind == FfnKind::swiglu ? 2 : 1;
  return 4 * gates * m.hidden * m.ffn / job.layout.tensor_par;
}

Layout without_recompute(Layout layout) {
  layout.recompute = Recompute::none;
  return layout;
}

// Bytes kept of one layer for the backward, per micro-batch.
double kept_bytes(const catalog::Model& m, const Layout& l, bool has_experts) {
  const double tokens = micro_batch_tokens(l);
  const double tp = l.tensor_par;
  const double residual = tokens * m.hidden * kActivation / (l.sequence_par ? tp : 1);
  if (fully_recomputed(l) > 0) {
    return residual * fully_recomputed(l) +
           kept_bytes(m, without_recompute(l), has_experts) * (1 - fully_recomputed(l));
  }
  const bool is_selective = l.recompute == Recompute::selective;
  // Inputs of a product are kept in its format; DeepSeek's recipe keeps the inputs of the activation so, too
  // (arXiv 2412.19437, section 3.3.3).
  const double input = std::min(kActivation, work::bytes_per_element(l.dtype));
  const double gate_input = l.dtype == work::Dtype::fp8_block ? input : kActivation;

  const bool is_mla = m.attention == AttentionKind::mla;
  const double kv_heads = is_mla ? m.heads : m.kv_heads;
  const double qkv = tokens * (m.heads * m.head_dim + kv_heads * (m.head_dim + m.v_head_dim)) / tp * kActivation;
  const double latent = is_mla ? tokens * (m.q_lora_rank + m.kv_lora_rank + m.rope_dim) * input : 0;
  const double attention_out = tokens * m.heads * m.v_head_dim / tp * kActivation;
  double bytes = 2 * residual + attention_out + latent;            // inputs of both norms, of the output projection
  if (!(is_selective && is_mla)) bytes += qkv;                     // MLA's up-projection is run again
  if (!is_selective) bytes += 2 * residual * input / kActivation;  // outputs of both norms
  if (l.keeps_gathered && l.sequence_par) bytes += 2 * (tp - 1) * residual * input / kActivation;
  if (l.attention_impl == AttentionImpl::materialised && !is_selective)
    bytes += 5 * l.micro_batch * m.heads / tp * l.seq_len * l.seq_len;  // scores, probabilities, mask: 2 + 2 + 1 bytes

  const double gates = m.ffn_kind == FfnKind::swiglu ? 2 : 1;
  const auto mlp = [&](double rows, double width) {
    return rows * width * (gates * gate_input + (is_selective ? 0 : input));
  };
  if (!has_experts) return bytes + mlp(tokens, m.ffn / tp);
  const double rows = expert_tokens(l) * m.topk;
  bytes += rows * m.hidden * input + mlp(rows, m.expert_ffn);
  if (!is_selective) bytes += rows * m.hidden * kActivation;  // expert outputs, weighted afterwards
  return bytes + mlp(tokens, m.shared_experts * catalog::shared_expert_width(m) / tp);
}

// Micro-batches, counted in whole stages, that stage s holds at once.
double in_flight(const Layout& l, int s) {
  const double m = std::ceil(micro_batches(l));
  const double p = l.pipeline_par;
  switch (l.schedule) {
    case Schedule::dual_pipe:
      return std::min(m, p + 1) / 2;  // of each of its two positions
    case Schedule::interleaved: {
      const double chunks = 2 * (p - 1 - s) + (l.interleave - 1) * p + 1;
      return std::min(m, chunks / l.interleave);
    }
    default:
      return std::min(m, p - s);
  }
}

// Over how many ranks a parameter's bytes are spread.
struct Shards {
  double dense, experts;
};
Shards shards_of(const Layout& l) {
  return {.dense = data_par(l) * l.context_par, .experts = std::max(1.0, l.gpus / (l.pipeline_par * l.expert_par))};
}

// Of one stage, before offloading and without what it needs beside its layers.
Memory stage_memory(const Layout& l, const Shards& shards, const StageLoad& stage, const Activations& kept) {
  const auto bytes = [&](double per_parameter, Sharding from) {
    const auto& p = stage.parameters;
    const bool is_sharded = l.sharding >= from;
    return per_parameter * (p.dense / (is_sharded ? shards.dense : 1) + p.experts / (is_sharded ? shards.experts : 1));
  };
  const double optimizer = l.dtype == work::Dtype::fp8_block ? kBlockOptimizerBytes : kOptimizerBytes;
  return {.parameters = bytes(kParameterBytes, Sharding::zero3),
          .gradients = bytes(kGradientBytes, Sharding::zero2),
          .optimizer = bytes(optimizer, Sharding::zero1),
          .activations = (stage.layers.dense * kept.dense + stage.layers.experts * kept.experts) * stage.in_flight,
          .buffers = stage.layers.has_head ? kept.logits : 0};
}

// Of what lies on the host, the GPU holds the layer at work and the one on its way.
void keep_at_work(const Layout& l, const StageLoad& stage, Memory& memory) {
  const double share = std::min(1.0, 2 / std::max(1.0, stage.layers.dense + stage.layers.experts));
  if (l.offload.weights) memory.parameters *= share;
  if (l.offload.optimizer) memory.optimizer *= share;
  if (l.offload.activations) memory.activations *= std::min(1.0, share / stage.in_flight);
}

}  // namespace

LocalParameters layer_parameters(const Job& job, bool has_experts) {
  const auto& m = job.model;
  const double attention = attention_parameters(m) + 2 * m.hidden;
  if (!has_experts) return {.dense = (attention + matrices(m) * m.hidden * m.ffn) / job.layout.tensor_par};
  const double shared = matrices(m) * m.hidden * m.shared_experts * catalog::shared_expert_width(m);
  return {.dense = (attention + shared + m.hidden * m.num_experts) / job.layout.tensor_par,
          .experts = matrices(m) * m.hidden * m.expert_ffn * m.num_experts / job.layout.expert_par};
}

LocalParameters chunk_parameters(const Job& job, const ChunkLayers& layers) {
  const auto& m = job.model;
  const auto dense = layer_parameters(job, false);
  const auto experts = layer_parameters(job, true);
  // A tied table is stored twice when input and output lie on different stages.
  const double tables = layers.has_embedding && layers.has_head && m.tied_embeddings
                            ? 1
                            : (layers.has_embedding ? 1 : 0) + (layers.has_head ? 1 : 0);
  return {.dense = layers.dense * dense.dense + layers.experts * experts.dense +
                   tables * m.vocab * m.hidden / job.layout.tensor_par,
          .experts = layers.experts * experts.experts};
}

Activations activations(const Job& job) {
  const auto& m = job.model;
  const auto& l = job.layout;
  Activations kept{.logits = micro_batch_tokens(l) * m.vocab / l.tensor_par * (job.stack.fuses_cross_entropy ? 4 : 8)};
  if (catalog::moe_layers(m) < m.layers) kept.dense = kept_bytes(m, l, false);
  if (catalog::is_moe(m)) kept.experts = kept_bytes(m, l, true);
  if (fully_recomputed(l) > 0) kept.working = kept_bytes(m, without_recompute(l), catalog::is_moe(m));
  return kept;
}

std::vector<StageLoad> stage_loads(const Job& job, const std::vector<ChunkLayers>& stages) {
  std::vector<StageLoad> loads;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    ChunkLayers layers = stages[s];
    if (job.layout.schedule == Schedule::dual_pipe) {
      const auto& mirror = stages[stages.size() - 1 - s];
      layers.dense += mirror.dense;
      layers.experts += mirror.experts;
      layers.has_embedding = layers.has_embedding || mirror.has_embedding;
      layers.has_head = layers.has_head || mirror.has_head;
    }
    const double flights = in_flight(job.layout, static_cast<int>(s));
    const auto same = std::find_if(loads.begin(), loads.end(), [&](const auto& l) { return l.layers == layers; });
    if (same == loads.end())
      loads.push_back({.layers = layers, .parameters = chunk_parameters(job, layers), .in_flight = flights});
    else
      same->in_flight = std::max(same->in_flight, flights);
  }
  return loads;
}

LocalParameters most_parameters(const std::vector<StageLoad>& stages) {
  const auto count = [](const StageLoad& s) { return s.parameters.dense + s.parameters.experts; };
  return std::max_element(stages.begin(), stages.end(), [&](auto& a, auto& b) { return count(a) < count(b); })
      ->parameters;
}

Memory fullest(const Job& job, const std::vector<StageLoad>& stages, const Activations& kept) {
  const auto& l = job.layout;
  double buffers = kBufferBytes + largest_gradient(job);
  if (l.sharding == Sharding::zero3) {  // two layers' gathered parameters
    const auto layer = layer_parameters(job, catalog::is_moe(job.model));
    buffers += 2 * kParameterBytes * (layer.dense + layer.experts);
  }
  const Shards shards = shards_of(l);
  Memory most;
  for (const auto& stage : stages) {
    Memory memory = stage_memory(l, shards, stage, kept);
    memory.buffers += buffers;
    keep_at_work(l, stage, memory);
    memory.activations += kept.working;
    if (memory.total() > most.total()) most = memory;
  }
  return most;
}

HostTraffic host_traffic(const Job& job, const std::vector<StageLoad>& stages, const Activations& kept) {
  const auto& l = job.layout;
  const Shards shards = shards_of(l);
  const double count = std::ceil(micro_batches(l));
  HostTraffic most;
  for (const auto& stage : stages) {
    const Memory memory = stage_memory(l, shards, stage, kept);
    double bytes = 0;
    if (l.offload.weights) bytes += 2 * memory.parameters * count;  // in for the forward, in for the backward
    if (l.offload.activations) bytes += 2 * memory.activations / stage.in_flight * count;  // out and in
    most.beside_pipeline = std::max(most.beside_pipeline, bytes);
    if (l.offload.optimizer) most.update = std::max(most.update, 2 * memory.optimizer);
  }
  return most;
}

Memory memory(const Job& job) {
  return fullest(job, stage_loads(job, chunk_plan(job.model, job.layout).stages), activations(job));
}

std::optional<units::Bytes> capacity(const catalog::Chip& chip) {
  if (!chip.memory_bytes) return std::nullopt;
  return *chip.memory_bytes * (units::kGibibyte.value / units::kGiga * kUsable);
}

bool fits(const Memory& memory, const catalog::Chip& chip) {
  const auto limit = capacity(chip);
  return !limit || memory.total() <= limit->value;
}

}  // namespace traincost::cost
