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

// Bytes kept of one layer for the backward, per micro-batch.
double kept_bytes(const Job& job, bool has_experts) {
  const auto& m = job.model;
  const auto& l = job.layout;
  const double tokens = micro_batch_tokens(l);
  const double tp = l.tensor_par;
  const double residual = tokens * m.hidden * kActivation / (l.sequence_par ? tp : 1);
  if (fully_recomputed(l) > 0) {
    Job other = job;
    other.layout.recompute = Recompute::none;
    return residual * fully_recomputed(l) + kept_bytes(other, has_experts) * (1 - fully_recomputed(l));
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

// Chunks that lie on stage s: DualPipe keeps a stage's mirror image too.
std::vector<ChunkLayers> chunks_of(const Layout& l, const std::vector<ChunkLayers>& chunks, int s) {
  const int p = static_cast<int>(l.pipeline_par);
  std::vector<ChunkLayers> result;
  for (int c = s; c < static_cast<int>(chunks.size()); c += p) result.push_back(chunks[c]);
  if (l.schedule == Schedule::dual_pipe) result.push_back(chunks[p - 1 - s]);
  return result;
}

Memory stage_memory(const Job& job, const std::vector<ChunkLayers>& chunks, double flights) {
  const auto& l = job.layout;
  LocalParameters params;
  double kept = 0;
  bool has_head = false;
  for (const auto& chunk : chunks) {
    const auto p = chunk_parameters(job, chunk);
    params.dense += p.dense;
    params.experts += p.experts;
    kept += (chunk.dense > 0 ? chunk.dense * kept_bytes(job, false) : 0) +
            (chunk.experts > 0 ? chunk.experts * kept_bytes(job, true) : 0);
    has_head = has_head || chunk.has_head;
  }
  const double dense_ranks = data_par(l) * l.context_par;
  const double expert_ranks = std::max(1.0, l.gpus / (l.pipeline_par * l.expert_par));
  const auto sharded = [&](double bytes, Sharding from) {
    const bool is_sharded = l.sharding >= from;
    return bytes * (params.dense / (is_sharded ? dense_ranks : 1) + params.experts / (is_sharded ? expert_ranks : 1));
  };
  Memory result{
      .parameters = sharded(kParameterBytes, Sharding::zero3),
      .gradients = sharded(kGradientBytes, Sharding::zero2),
      .optimizer = sharded(l.dtype == work::Dtype::fp8_block ? kBlockOptimizerBytes : kOptimizerBytes, Sharding::zero1),
      .activations = kept * flights,
      .buffers = kBufferBytes + largest_gradient(job)};
  const bool has_experts = catalog::is_moe(job.model);
  if (fully_recomputed(l) > 0) {  // one layer at work
    Job one = job;
    one.layout.recompute = Recompute::none;
    result.activations += kept_bytes(one, has_experts);
  }
  if (has_head)  // logits and, unless fused, their gradient
    result.buffers += micro_batch_tokens(l) * job.model.vocab / l.tensor_par * (job.stack.fuses_cross_entropy ? 4 : 8);
  if (l.sharding == Sharding::zero3) {  // two layers' gathered parameters
    const auto layer = layer_parameters(job, has_experts);
    result.buffers += 2 * kParameterBytes * (layer.dense + layer.experts);
  }
  return result;
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

LocalParameters chunk_parameters(const Job& job, const ChunkLayers& chunk) {
  const auto& m = job.model;
  const auto dense = layer_parameters(job, false);
  const auto experts = layer_parameters(job, true);
  // A tied table is stored twice when input and output lie on different stages.
  const double tables = chunk.has_embedding && chunk.has_head && m.tied_embeddings
                            ? 1
                            : (chunk.has_embedding ? 1 : 0) + (chunk.has_head ? 1 : 0);
  return {.dense = chunk.dense * dense.dense + chunk.experts * experts.dense +
                   tables * m.vocab * m.hidden / job.layout.tensor_par,
          .experts = chunk.experts * experts.experts};
}

LocalParameters local_parameters(const Job& job) {
  const auto all = chunk_layers(job.model, job.layout);
  LocalParameters most;
  for (int s = 0; s < static_cast<int>(job.layout.pipeline_par); ++s) {
    LocalParameters sum;
    for (const auto& chunk : chunks_of(job.layout, all, s)) {
      const auto p = chunk_parameters(job, chunk);
      sum.dense += p.dense;
      sum.experts += p.experts;
    }
    if (sum.dense + sum.experts > most.dense + most.experts) most = sum;
  }
  return most;
}

Memory memory(const Job& job) {
  const auto all = chunk_layers(job.model, job.layout);
  Memory fullest;
  for (int s = 0; s < static_cast<int>(job.layout.pipeline_par); ++s) {
    const auto m = stage_memory(job, chunks_of(job.layout, all, s), in_flight(job.layout, s));
    if (m.total() > fullest.total()) fullest = m;
  }
  return fullest;
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
