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
constexpr double kOptimizerBytes = 12;  // fp32 master copy and two moments
constexpr double kActivation = 2;
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

// Bytes kept of one layer for the backward, per micro-batch.
double kept_bytes(const Job& job, bool has_experts) {
  const auto& m = job.model;
  const auto& l = job.layout;
  const double tokens = micro_batch_tokens(l);
  const double tp = l.tensor_par;
  const double residual = tokens * m.hidden * kActivation / (l.sequence_par ? tp : 1);
  if (l.recompute == Recompute::full) return residual;
  const bool is_selective = l.recompute == Recompute::selective;

  const bool is_mla = m.attention == AttentionKind::mla;
  const double kv_heads = is_mla ? m.heads : m.kv_heads;
  const double qkv = tokens * (m.heads * m.head_dim + kv_heads * (m.head_dim + m.v_head_dim)) / tp * kActivation;
  const double latent = is_mla ? tokens * (m.q_lora_rank + m.kv_lora_rank + m.rope_dim) * kActivation : 0;
  const double attention_out = tokens * m.heads * m.v_head_dim / tp * kActivation;
  double bytes = 2 * residual + attention_out + latent;  // inputs of both norms, of the output projection
  if (!(is_selective && is_mla)) bytes += qkv;           // MLA's up-projection is run again
  if (!is_selective) bytes += 2 * residual;              // outputs of both norms
  if (l.attention_impl == AttentionImpl::materialised && !is_selective)
    bytes += 5 * l.micro_batch * m.heads / tp * l.seq_len * l.seq_len;  // scores, probabilities, mask: 2 + 2 + 1 bytes

  const double gates = m.ffn_kind == FfnKind::swiglu ? 2 : 1;
  const auto mlp = [&](double rows, double width) {
    return rows * width * kActivation * (gates + (is_selective ? 0 : 1));
  };
  if (!has_experts) return bytes + mlp(tokens, m.ffn / tp);
  const double rows = expert_tokens(l) * m.topk;
  bytes += rows * m.hidden * kActivation + mlp(rows, m.expert_ffn);
  if (!is_selective) bytes += rows * m.hidden * kActivation;  // expert outputs, weighted afterwards
  return bytes + mlp(tokens, m.shared_experts * catalog::shared_expert_width(m) / tp);
}

// Micro-batches (counted in whole stages) that the first stage holds at once.
double in_flight(const Layout& l) {
  const double m = std::ceil(micro_batches(l));
  const double p = l.pipeline_par;
  switch (l.schedule) {
    case Schedule::dual_pipe:
      return std::min(m, p + 1);
    case Schedule::interleaved:
      return std::min(m, p) * (1 + (p - 1) / (p * l.interleave));
    default:
      return std::min(m, p);
  }
}

}  // namespace

LocalParameters local_parameters(const Job& job) {
  const auto& m = job.model;
  const auto& l = job.layout;
  const double layers = (m.layers + m.mtp_layers) / l.pipeline_par * (l.schedule == Schedule::dual_pipe ? 2 : 1);
  const double moe_share =
      (catalog::moe_layers(m) + (catalog::is_moe(m) ? m.mtp_layers : 0)) / (m.layers + m.mtp_layers);
  const double shared = 3 * m.hidden * m.shared_experts * catalog::shared_expert_width(m) + m.hidden * m.num_experts;
  const double dense_ffn = matrices(m) * m.hidden * m.ffn;
  const double per_layer = attention_parameters(m) + 2 * m.hidden + (1 - moe_share) * dense_ffn + moe_share * shared;
  const double embeddings = m.vocab * m.hidden * (l.pipeline_par == 1 && !m.tied_embeddings ? 2 : 1);
  return {.dense = (layers * per_layer + embeddings) / l.tensor_par,
          .experts = layers * moe_share * 3 * m.hidden * m.expert_ffn * m.num_experts / l.expert_par};
}

Memory memory(const Job& job) {
  const auto& m = job.model;
  const auto& l = job.layout;
  const auto params = local_parameters(job);
  const double dense_ranks = data_par(l) * l.context_par;
  const double expert_ranks = std::max(1.0, l.gpus / (l.pipeline_par * l.expert_par));
  const auto sharded = [&](double bytes, Sharding from) {
    const bool is_sharded = l.sharding >= from;
    return bytes * (params.dense / (is_sharded ? dense_ranks : 1) + params.experts / (is_sharded ? expert_ranks : 1));
  };
  Memory result{.parameters = sharded(kParameterBytes, Sharding::zero3),
                .gradients = sharded(kGradientBytes, Sharding::zero2),
                .optimizer = sharded(kOptimizerBytes, Sharding::zero1),
                .buffers = kBufferBytes};
  const double moe = catalog::moe_layers(m);
  const double kept = (m.layers - moe) * kept_bytes(job, false) + moe * kept_bytes(job, true);
  result.activations = kept / l.pipeline_par * in_flight(l);
  if (l.recompute == Recompute::full) {  // one layer at work
    Job one = job;
    one.layout.recompute = Recompute::none;
    result.activations += kept_bytes(one, moe > 0);
  }
  if (l.pipeline_par == 1)  // logits, their gradient in fp32
    result.buffers += micro_batch_tokens(l) * m.vocab / l.tensor_par * (job.stack.fuses_cross_entropy ? 4 : 8);
  if (l.sharding == Sharding::zero3)  // two layers' gathered parameters
    result.buffers += 2 * kParameterBytes * (params.dense + params.experts) * l.pipeline_par / m.layers;
  return result;
}

}  // namespace traincost::cost
