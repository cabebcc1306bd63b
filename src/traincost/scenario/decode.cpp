#include <traincost/scenario/decode.hpp>

#include <algorithm>
#include <cmath>

#include <traincost/cost/network.hpp>
#include <traincost/work/op.hpp>

namespace traincost::scenario {
namespace {

using catalog::AttentionKind;
using work::Gemm;

constexpr double kCacheElementBytes = 2;  // bf16
constexpr double kUsableMemory = 0.9;     // the rest: activations, buffers, fragmentation

work::Dtype weight_format(const catalog::Chip& chip) {
  return chip.fp8_dense_flops ? work::Dtype::fp8_block : work::Dtype::bf16;
}

/// Adds up the kernels of a step under the names of its bill.
class Bill {
 public:
  Bill(const calibrate::ChipEfficiency& efficiency, work::Dtype dtype, double slowdown)
      : efficiency_(efficiency), dtype_(dtype), slowdown_(slowdown) {}

  void add(const char* name, const work::Op& op, double times, work::Dtype dtype) {
    add(name, efficiency_.time(op, dtype), times);
  }
  void add(const char* name, const work::Op& op, double times) { add(name, op, times, dtype_); }
  /// A product with weights: in fp8 it casts its input first.
  void add_linear(const char* name, const Gemm& product, double times) {
    add(name, product, times);
    if (work::bytes_per_element(dtype_) < 2) add(name, work::Quantize{.m = product.m, .k = product.k}, times);
  }
  void add(const char* name, const calibrate::Timing& timing, double times) {
    auto found = std::ranges::find(step_.parts, name, &DecodePart::name);
    if (found == step_.parts.end())
      found = step_.parts.insert(found, {.name = name, .seconds = {}, .origin = timing.origin});
    found->seconds += timing.seconds * (times * slowdown_);
    found->origin = std::max(found->origin, timing.origin);
    step_.seconds += timing.seconds * (times * slowdown_);
  }
  DecodeStep step() && { return std::move(step_); }

 private:
  const calibrate::ChipEfficiency& efficiency_;
  work::Dtype dtype_;
  double slowdown_;  // of a kernel in a step against the same kernel alone
  DecodeStep step_;
};

// DeepSeek-V2 (arXiv 2405.04434, 2.1): the up-projections are absorbed into the query and the output, so that attention
// reads the compressed cache.
void add_mla(Bill& bill, const catalog::Model& m, const DecodeLoad& load) {
  const double tokens = load.busiest * load.s_q;
  const double nope = m.head_dim - m.rope_dim;
  const double query_width = m.heads * m.head_dim;
  if (m.q_lora_rank > 0) {
    bill.add_linear("projections", Gemm{tokens, m.q_lora_rank, m.hidden}, m.layers);
    bill.add_linear("projections", Gemm{tokens, query_width, m.q_lora_rank}, m.layers);
  } else {
    bill.add_linear("projections", Gemm{tokens, query_width, m.hidden}, m.layers);
  }
  bill.add_linear("projections", Gemm{tokens, m.kv_lora_rank + m.rope_dim, m.hidden}, m.layers);
  bill.add("projections", Gemm{tokens, m.heads * m.kv_lora_rank, nope}, m.layers, work::Dtype::bf16);
  bill.add("projections", Gemm{tokens, m.heads * m.v_head_dim, m.kv_lora_rank}, m.layers, work::Dtype::bf16);
  bill.add_linear("projections", Gemm{tokens, m.hidden, m.heads * m.v_head_dim}, m.layers);
  bill.add("attention",
           work::Decode{.b = load.busiest,
                        .s_q = load.s_q,
                        .s_kv = load.context,
                        .h_q = m.heads,
                        .h_kv = 1,
                        .d_qk = m.kv_lora_rank + m.rope_dim,
                        .d_v = m.kv_lora_rank,
                        .values_in_keys = true},
           m.layers, work::Dtype::bf16);
}

void add_grouped(Bill& bill, const catalog::Model& m, const DecodeLoad& load) {
  const double tokens = load.busiest * load.s_q;
  bill.add_linear("projections", Gemm{tokens, (m.heads + 2 * m.kv_heads) * m.head_dim, m.hidden}, m.layers);
  bill.add_linear("projections", Gemm{tokens, m.hidden, m.heads * m.v_head_dim}, m.layers);
  bill.add("attention",
           work::Decode{.b = load.busiest,
                        .s_q = load.s_q,
                        .s_kv = load.context,
                        .h_q = m.heads,
                        .h_kv = m.kv_heads,
                        .d_qk = m.head_dim,
                        .d_v = m.v_head_dim},
           m.layers, work::Dtype::bf16);
}

void add_dense_ffn(Bill& bill, const catalog::Model& m, double tokens, double width, double layers) {
  bill.add_linear("feed-forward", Gemm{tokens, 2 * width, m.hidden}, layers);
  bill.add_linear("feed-forward", Gemm{tokens, m.hidden, width}, layers);
}

void add_experts(Bill& bill, const Server& server, const DecodeLoad& load,
                 const calibrate::ChipEfficiency& efficiency) {
  const auto& m = server.model;
  const double layers = catalog::moe_layers(m);
  const double gpus = std::min(server.expert_gpus, m.num_experts);
  // Each GPU receives as many rows as it sends on average; how many its experts really get scatters.
  const double rows = load.mean * load.s_q * m.topk;
  bill.add("experts",
           work::MoeMlp{.rows = rows,
                        .num_experts = m.num_experts / gpus,
                        .hidden = m.hidden,
                        .width = m.expert_ffn,
                        .imbalance = expected_largest(rows, rows, gpus) / rows},
           layers);
  const double tokens = load.busiest * load.s_q;
  if (m.shared_experts > 0) add_dense_ffn(bill, m, tokens, m.shared_experts * m.expert_ffn, layers);
  const cost::Network network(server.cluster, server.chip, efficiency, cost::default_constants());
  const cost::Group group{.gpus = gpus, .local = std::min(gpus, server.cluster.scale_up_gpus)};
  work::MoeExchange exchange{
      .tokens = tokens, .hidden = m.hidden, .topk = m.topk, .num_experts = m.num_experts, .gpus = gpus};
  bill.add("expert exchange", network.low_latency_exchange(exchange, work::Dtype::fp8_block, group), layers);
  exchange.is_combine = true;
  bill.add("expert exchange", network.low_latency_exchange(exchange, work::Dtype::bf16, group), layers);
}

double expert_params(const catalog::Model& m) {
  return catalog::moe_layers(m) * m.num_experts * 3 * m.hidden * m.expert_ffn;
}

// Speculation drafts with the model's extra layer and head: that much more of everything.
double draft_factor(const catalog::Model& m, double s_q) { return s_q > 1 ? 1 + m.mtp_layers / m.layers : 1; }

}  // namespace

double expected_largest(double mean, double variance, double n) {
  return mean + std::sqrt(2 * std::log(std::max(n, 1.0)) * variance);
}

DecodeStep decode_step(const Server& server, const DecodeLoad& load, const calibrate::ChipEfficiency& efficiency) {
  const auto& m = server.model;
  const double tokens = load.busiest * load.s_q;
  Bill bill(efficiency, weight_format(server.chip),
            cost::default_constants().compute_slowdown * draft_factor(m, load.s_q));
  if (m.attention == AttentionKind::mla)
    add_mla(bill, m, load);
  else
    add_grouped(bill, m, load);
  add_dense_ffn(bill, m, tokens, m.ffn, m.layers - catalog::moe_layers(m));
  if (catalog::is_moe(m)) add_experts(bill, server, load, efficiency);
  bill.add("head", Gemm{tokens, m.vocab, m.hidden}, load.s_q, work::Dtype::bf16);
  // Norms, rotary, activation, routing: each token's state crosses the memory about ten times a layer.
  constexpr double kStatePasses = 10;
  bill.add("elementwise", work::Stream{.bytes = tokens * m.hidden * kCacheElementBytes * kStatePasses}, m.layers);
  return std::move(bill).step();
}

units::Bytes cache_bytes_per_token(const catalog::Model& m) {
  const double elements =
      m.attention == AttentionKind::mla ? m.kv_lora_rank + m.rope_dim : m.kv_heads * (m.head_dim + m.v_head_dim);
  return {elements * kCacheElementBytes * m.layers};
}

units::Bytes weight_bytes(const Server& server) {
  const double spread = expert_params(server.model);
  const double gpus = std::max(1.0, std::min(server.expert_gpus, server.model.num_experts));
  const double whole = catalog::total_params(server.model) - spread;
  return {(whole + spread / gpus) * work::bytes_per_element(weight_format(server.chip))};
}

double sequences_that_fit(const Server& server, double mean_context) {
  if (!server.chip.memory_bytes) return 0;
  const units::Bytes left = *server.chip.memory_bytes * kUsableMemory - weight_bytes(server);
  return std::max(0.0, left / cache_bytes_per_token(server.model) / mean_context);
}

catalog::Model with_attention(catalog::Model m, AttentionKind kind) {
  constexpr double kGroups = 8, kHeadDim = 128;
  if (kind == AttentionKind::mla) return m;
  m.attention = kind;
  m.kv_heads = kind == AttentionKind::gqa ? kGroups : m.heads;
  m.head_dim = m.v_head_dim = kHeadDim;
  m.kv_lora_rank = m.q_lora_rank = m.rope_dim = 0;
  return m;
}

}  // namespace traincost::scenario
