#include <traincost/cost/layer.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <variant>

namespace traincost::cost {
namespace {

using catalog::AttentionKind;
using catalog::FfnKind;
using work::Dtype;

constexpr double kActivationBytes = 2;  // bf16 or fp16
// DeepSeek's trace (results/published/deepseek_v3_trace.csv) has 212 launches per layer, forward and backward, of which
// this file lists 92: the rest are the index arithmetic of routing, dispatch and combine, over maps of tokens and
// experts.
constexpr double kRoutingLaunches = 120;
constexpr double kAccumulationBytes = 6;  // per weight and micro-batch
// Batched products of those years leave the tensor cores for the fp32 units when a head's row is no multiple of 16
// bytes (NVIDIA's matrix multiplication guide).
constexpr double kAlignedElements = 8;
// 312 against 19.5 TFLOPS on an A100; of the former the tables reach 0.43 on products so thin, of the latter steps with
// heads of 108 reach 0.65.
constexpr double kUnalignedSlowdown = 312 / 19.5 * 0.43 / 0.65;
constexpr double kTileRows = 128;            // of a grouped product
constexpr double kLogitBytes = 4;            // the loss is computed in fp32
constexpr Dtype kUnquantised = Dtype::bf16;  // router, embedding and head stay out of fp8 recipes

bool is_fp8(Dtype dtype) { return dtype == Dtype::fp8 || dtype == Dtype::fp8_block || dtype == Dtype::mxfp8; }

// Collects the kernels of one layer; local to this file, handed out as a plain Block.
class Builder {
 public:
  Builder(const Job& job, const Constants& constants) : job_(job), constants_(constants) {}

  // y[m, n] = x[m, k] w[k, n] with both gradients. `replayed`: run again in the backward under selective recompute.
  void gemm(Role role, double m, double n, double k, bool replayed = false) {
    gemm(role, job_.layout.dtype, m, n, k, replayed);
  }
  void gemm(Role role, Dtype dtype, double m, double n, double k, bool replayed) {
    if (is_fp8(dtype)) casts(m, n, k);
    add_forward({.op = work::Gemm{m, n, k}, .dtype = dtype, .role = role}, replayed);
    block_.input_grad.push_back({.op = work::Gemm{m, k, n}, .dtype = dtype, .role = role});
    block_.weight_grad.push_back({.op = work::Gemm{n, k, m}, .dtype = dtype, .role = role});
    accumulate(role, n * k);
  }

  // Traffic of a memory-bound kernel in bytes, forward and backward.
  void elementwise(double forward_bytes, double backward_bytes, bool replayed = true) {
    add_forward(stream(forward_bytes), replayed);
    block_.input_grad.push_back(stream(backward_bytes));
  }

  void attention(const work::Attention& shape, double slowdown) {
    add_forward({.op = shape, .role = Role::attention, .slowdown = slowdown}, false);
    auto backward = shape;
    backward.pass = work::Pass::backward;
    block_.input_grad.push_back({.op = backward, .role = Role::attention, .slowdown = slowdown});
  }

  // A product of activations: both gradients belong to the backward's critical part.
  void activation_gemm(double m, double n, double k, double slowdown) {
    const auto product = [slowdown](double a, double b, double c) {
      return Kernel{.op = work::Gemm{a, b, c}, .role = Role::attention, .slowdown = slowdown};
    };
    add_forward(product(m, n, k), true);
    block_.input_grad.push_back(product(m, k, n));
    block_.input_grad.push_back(product(m, n, k));
  }

  void scores_traffic(double forward_bytes, double backward_bytes) {
    const double passes = constants_.materialised_passes;
    add_forward({.op = work::Stream{forward_bytes * passes}, .role = Role::attention}, true);
    block_.input_grad.push_back({.op = work::Stream{backward_bytes * passes}, .role = Role::attention});
  }

  // The same product for each of `groups` experts, over `rows` in all: one by one, as Transformer Engine runs them with
  // cuBLAS; kernels that take all groups at once (DeepGEMM) are a little faster where groups are small. A group's rows
  // are padded to a tile. The weight gradients reduce over a group's rows each.
  void grouped_gemm(double rows, double groups, double n, double k) {
    const Dtype dtype = job_.layout.dtype;
    const double each = rows / groups + kTileRows / 2;
    if (is_fp8(dtype)) {
      const double each_cast = job_.stack.scales_fp8_by_block ? 1 : groups;
      casts(rows / each_cast, n, k, each_cast);
    }
    const auto product = [&](double a, double b, double c) {
      return Kernel{.op = work::Gemm{a, b, c}, .dtype = dtype, .role = Role::experts, .count = groups};
    };
    add_forward(product(each, n, k), false);
    block_.input_grad.push_back(product(each, k, n));
    block_.weight_grad.push_back(product(n, k, each));
    accumulate(Role::experts, groups * n * k);
  }

  // A micro-batch's weight gradients join the sum of those before: read and written in fp32 by the product itself
  // (Megatron, DeepSeek's trace: fp8_dptp128c_acc) instead of written once in two bytes, or by a kernel over three
  // two-byte tensors. Sharded gradients (ZeRO-3, FSDP) leave the GPU as they are made.
  void accumulate(Role role, double parameters) {
    block_.summing.push_back({.op = work::Stream{kAccumulationBytes * parameters}, .role = role});
  }

  // Adds what the router decides the rows of.
  template <class Add>
  void routed(Add&& add) {
    const std::array lists{&block_.forward, &block_.recomputed, &block_.input_grad, &block_.weight_grad};
    std::array<std::size_t, lists.size()> before{};
    for (std::size_t i = 0; i < lists.size(); ++i) before[i] = lists[i]->size();
    add();
    for (std::size_t i = 0; i < lists.size(); ++i)
      std::for_each(lists[i]->begin() + static_cast<std::ptrdiff_t>(before[i]), lists[i]->end(),
                    [](Kernel& k) { k.is_routed = true; });
  }

  // Kernels too small to list one by one, each over `bytes`.
  void small_kernels(double forward, double backward, double bytes) {
    const auto kernels = [&](double n) { return Kernel{.op = work::Stream{bytes}, .count = n, .launches = n}; };
    add_forward(kernels(forward), false);
    block_.input_grad.push_back(kernels(backward));
  }

  // Nobody saves what the last product and those after it give.
  void end_in_product() {
    if (!job_.stack.stops_recompute_early) return;
    const auto last = std::find_if(block_.forward.rbegin(), block_.forward.rend(),
                                   [](const Kernel& k) { return std::holds_alternative<work::Gemm>(k.op); });
    if (last != block_.forward.rend()) block_.tail.assign(std::prev(last.base()), block_.forward.end());
  }

  Block finish() {
    if (job_.layout.recompute == Recompute::full)
      block_.recomputed.assign(block_.forward.begin(),
                               block_.forward.end() - static_cast<std::ptrdiff_t>(block_.tail.size()));
    for (auto& kernel : block_.recomputed) kernel.slowdown *= job_.layout.recompute_share;
    if (job_.layout.sharding != Sharding::zero3)
      block_.weight_grad.insert(block_.weight_grad.end(), block_.summing.begin(), block_.summing.end());
    return std::move(block_);
  }

 private:
  Kernel stream(double bytes) const {
    double passes = 1;
    if (job_.stack.elementwise == Stack::Elementwise::eager) passes = constants_.eager_passes;
    if (job_.stack.elementwise == Stack::Elementwise::compiled) passes = constants_.compiled_passes;
    return {.op = work::Stream{bytes * passes}};
  }

  void add_forward(const Kernel& kernel, bool replayed) {
    block_.forward.push_back(kernel);
    if (replayed && job_.layout.recompute == Recompute::selective) block_.recomputed.push_back(kernel);
  }

  // fp8 operands are made from bf16 activations: the input for the product and transposed for the weight gradient, the
  // output's gradient likewise. Scaled by block, the two differ and take a kernel each (DeepSeek-V3's trace): both of
  // the gradient as soon as it is there, the transposed input's with the product that needs it. Transformer Engine
  // writes both in one pass, and only one where products take any layout (cuBLAS: Blackwell, one scale a tensor).
  void casts(double m, double n, double k, double count = 1) {
    const auto cast = [count](work::Op op) { return Kernel{.op = op, .role = Role::quantize, .count = count}; };
    block_.forward.push_back(cast(work::Quantize{m, k}));
    block_.input_grad.push_back(cast(work::Quantize{m, n}));
    if (job_.layout.dtype == Dtype::fp8_block) {
      block_.input_grad.push_back(cast(work::Quantize{m, n}));
      block_.weight_grad.push_back(cast(work::Quantize{m, k}));
    } else if (job_.layout.dtype != Dtype::fp8 || !catalog::is_blackwell(job_.chip)) {
      block_.forward.push_back(cast(work::Stream{m * k}));
      block_.input_grad.push_back(cast(work::Stream{m * n}));
    }
  }

  const Job& job_;
  const Constants& constants_;
  Block block_;
};

// Rows of a norm or residual on one GPU.
double residual_tokens(const Layout& l) { return micro_batch_tokens(l) / (l.sequence_par ? l.tensor_par : 1); }

void add_norm(Builder& b, double rows, double width) {
  // Forward reads and writes; backward reads the gradient and the input, writes the gradient.
  const double bytes = rows * width * kActivationBytes;
  b.elementwise(2 * bytes, 3 * bytes);
}

void add_residual(Builder& b, const Job& job) {
  const double bytes = residual_tokens(job.layout) * job.model.hidden * kActivationBytes;
  b.elementwise(3 * bytes, 2 * bytes, false);
}

void add_rotary(Builder& b, const Job& job, double tokens, double width) {
  if (job.model.position != catalog::PositionKind::rotary) return;
  const double bytes = tokens * width * kActivationBytes;
  b.elementwise(2 * bytes, 2 * bytes);
}

// Pre-2022 attention: the scores [b, h, s, s] go to memory between product, softmax, dropout and product. Full squares:
// the mask saves nothing (Korthikanti et al., arXiv 2205.05198, section 4.1).
void add_materialised(Builder& b, const Job& job, double heads) {
  const auto& l = job.layout;
  const double rows = l.micro_batch * heads * l.seq_len;
  const double scores = rows * l.seq_len * kActivationBytes;
  const double slowdown = std::fmod(job.model.head_dim, kAlignedElements) == 0 ? 1 : kUnalignedSlowdown;
  b.activation_gemm(rows, l.seq_len, job.model.head_dim, slowdown);
  b.scores_traffic(2 * scores, 3 * scores);      // softmax
  b.scores_traffic(2.5 * scores, 2.5 * scores);  // dropout and its one-byte mask
  b.activation_gemm(rows, job.model.v_head_dim, l.seq_len, slowdown);
}

void add_attention_core(Builder& b, const Job& job) {
  const auto& model = job.model;
  const auto& l = job.layout;
  const double heads = model.heads / l.tensor_par;
  if (l.attention_impl == AttentionImpl::materialised) return add_materialised(b, job, heads);
  const double s_q = l.seq_len / l.context_par;
  const bool is_mla = model.attention == AttentionKind::mla;
  const double kv_heads = is_mla ? heads : std::max(1.0, model.kv_heads / l.tensor_par);
  // Context parallelism balances the causal triangle: every rank gets half of the pairs s_q x seq_len.
  const work::Attention shape{.b = l.micro_batch,
                              .s_q = s_q,
                              .s_kv = (l.seq_len + s_q) / 2,
                              .h_q = heads,
                              .h_kv = kv_heads,
                              .d_qk = model.head_dim,
                              .d_v = model.v_head_dim};
  b.attention(shape, attention_slowdown(job.stack.attention, job.chip.arch));
}

void add_attention(Builder& b, const Job& job) {
  const auto& m = job.model;
  const double tokens = micro_batch_tokens(job.layout);
  const double tp = job.layout.tensor_par;
  const auto role = Role::attention_projection;
  if (m.attention == AttentionKind::mla) {
    const double query_width = m.heads / tp * m.head_dim;
    if (m.q_lora_rank > 0) {
      b.gemm(role, tokens, m.q_lora_rank, m.hidden);
      add_norm(b, tokens, m.q_lora_rank);
      b.gemm(role, tokens, query_width, m.q_lora_rank, true);
    } else {
      b.gemm(role, tokens, query_width, m.hidden);
    }
    b.gemm(role, tokens, m.kv_lora_rank + m.rope_dim, m.hidden);
    add_norm(b, tokens, m.kv_lora_rank);
    b.gemm(role, tokens, m.heads / tp * (m.head_dim - m.rope_dim + m.v_head_dim), m.kv_lora_rank, true);
    // Keys and queries are put together from their two parts.
    add_rotary(b, job, tokens, 2 * query_width);
  } else {
    const double kv_heads = std::max(1.0, m.kv_heads / tp);
    b.gemm(role, tokens, (m.heads / tp + 2 * kv_heads) * m.head_dim, m.hidden);
    add_rotary(b, job, tokens, (m.heads / tp + kv_heads) * m.head_dim);
    if (m.qk_norm) add_norm(b, tokens, (m.heads / tp + kv_heads) * m.head_dim);
  }
  add_attention_core(b, job);
  b.gemm(role, tokens, m.hidden, m.heads / tp * m.v_head_dim);
}

// Projection(s) up, activation, projection down, of `width` per GPU.
void add_mlp(Builder& b, const Job& job, double tokens, double width) {
  const bool is_gated = job.model.ffn_kind == FfnKind::swiglu;
  const double bytes = tokens * width * kActivationBytes;
  b.gemm(Role::feed_forward, tokens, width * (is_gated ? 2 : 1), job.model.hidden);
  if (is_gated)
    b.elementwise(3 * bytes, 5 * bytes);
  else
    b.elementwise(2 * bytes, 3 * bytes);
  b.gemm(Role::feed_forward, tokens, job.model.hidden, width);
}

double imbalance(const Layout& l, const Constants& constants) {
  return l.routing == Routing::dropless ? constants.dropless_imbalance : 1;
}

// Rows read and written to bring tokens into the order of their experts: by a kernel; before and after NCCL's
// all-to-all by one each, which sorts by rank, then by expert; by none where the exchange does it.
double placed_rows(const Job& job, double tokens, double rows) {
  if (job.layout.expert_par <= 1) return tokens + rows;
  switch (job.stack.exchange) {
    case Stack::Exchange::hybridep:
      return 0;
    case Stack::Exchange::deepep:
      return tokens + rows;
    case Stack::Exchange::all_to_all:
      break;
  }
  return tokens + 3 * rows;
}

void add_experts(Builder& b, const Job& job, const Constants& constants) {
  const auto& m = job.model;
  const auto& l = job.layout;
  const double tokens = expert_tokens(l);
  const double rows = tokens * m.topk;
  const double placing = placed_rows(job, tokens, rows) * m.hidden * kActivationBytes;
  // Router: logits in bf16 products and fp32 scores, top-k, index maps; small and bound by launches.
  const double map_bytes = tokens * m.num_experts * kLogitBytes;
  b.gemm(Role::experts, kUnquantised, tokens, m.num_experts, m.hidden, false);
  b.elementwise(map_bytes * 2, map_bytes * 2);
  b.small_kernels(kRoutingLaunches / 3, kRoutingLaunches * 2 / 3, map_bytes);
  const double groups = m.num_experts / l.expert_par;
  const double busiest = rows * imbalance(l, constants);
  const double width_bytes = busiest * m.expert_ffn * kActivationBytes;
  b.routed([&] {
    b.elementwise(placing, placing);
    b.grouped_gemm(busiest, groups, 2 * m.expert_ffn, m.hidden);
    b.elementwise(3 * width_bytes, 5 * width_bytes);
    b.grouped_gemm(busiest, groups, m.hidden, m.expert_ffn);
    b.elementwise(placing, placing);  // and weighted sum
  });
  if (m.shared_experts > 0)
    add_mlp(b, job, micro_batch_tokens(l), m.shared_experts * catalog::shared_expert_width(m) / l.tensor_par);
}

}  // namespace

std::string_view to_string(Role role) {
  constexpr std::array<std::string_view, 8> kNames{
      "attention projections",    "attention", "feed-forward", "experts", "elementwise", "fp8 casts",
      "embedding, head and loss", "optimizer"};
  return kNames[static_cast<std::size_t>(role)];
}

double micro_batch_tokens(const Layout& l) { return l.micro_batch * l.seq_len / l.context_par; }

// Under tensor parallelism each rank of the group routes its share of the sequence.
double expert_tokens(const Layout& l) { return micro_batch_tokens(l) / l.tensor_par; }

Block layer_block(const Job& job, bool has_experts, const Constants& constants) {
  Builder b(job, constants);
  const double rows = residual_tokens(job.layout);
  add_norm(b, rows, job.model.hidden);
  add_attention(b, job);
  if (!job.model.is_parallel_block) {
    add_residual(b, job);
    add_norm(b, rows, job.model.hidden);
  }
  if (has_experts)
    add_experts(b, job, constants);
  else
    add_mlp(b, job, micro_batch_tokens(job.layout), job.model.ffn / job.layout.tensor_par);
  add_residual(b, job);
  if (!has_experts) b.end_in_product();
  return b.finish();
}

Block embedding_block(const Job& job, const Constants& constants) {
  Builder b(job, constants);
  const double bytes = micro_batch_tokens(job.layout) * job.model.hidden * kActivationBytes;
  b.elementwise(2 * bytes, 3 * bytes, false);
  b.accumulate(Role::elementwise, job.model.vocab / job.layout.tensor_par * job.model.hidden);
  return b.finish();
}

Block head_block(const Job& job, const Constants& constants) {
  Builder b(job, constants);
  const auto& l = job.layout;
  const double tokens = micro_batch_tokens(l);
  const double vocab = job.model.vocab / l.tensor_par;
  const double heads = 1 + job.model.mtp_layers;
  const double logits = tokens * vocab * kLogitBytes;
  for (double i = 0; i < heads; ++i) {
    add_norm(b, residual_tokens(l), job.model.hidden);
    b.gemm(Role::head, kUnquantised, tokens, vocab, job.model.hidden, false);
    // Loss: cast, maximum, exponentials and sum, target, gradient; one read and one write when fused.
    if (job.stack.fuses_cross_entropy)
      b.elementwise(logits, logits, false);
    else
      b.elementwise(3 * logits, 2 * logits, false);
    if (i > 0) b.gemm(Role::head, kUnquantised, tokens, job.model.hidden, 2 * job.model.hidden / l.tensor_par, false);
  }
  Block block = b.finish();
  block.recomputed.clear();
  for (auto* kernels : {&block.forward, &block.input_grad, &block.weight_grad, &block.summing})
    for (auto& kernel : *kernels) kernel.role = Role::head;
  return block;
}

}  // namespace traincost::cost
