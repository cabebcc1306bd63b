#include <traincost/cost/ablate.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <traincost/cost/search.hpp>

namespace traincost::cost {
namespace {

constexpr double kHeadDim = 128;  // of plain attention, as in GPT-3 and Llama

void use_plain_attention(catalog::Model& m) {
  m.attention = catalog::AttentionKind::mha;
  m.head_dim = m.v_head_dim = kHeadDim;
  m.heads = m.kv_heads = std::max(1.0, m.hidden / kHeadDim);
  m.kv_lora_rank = m.q_lora_rank = m.rope_dim = 0;
}

Ablation priced(const Job& base, std::string change, bool has_dual_pipe, const calibrate::ChipEfficiency& efficiency) {
  Job job = base;
  Space space = layout_space(job, {job.layout.gpus}, {.dtype = job.layout.dtype});
  std::erase_if(space.orders, [&](const Order& o) { return (o.schedule == Schedule::dual_pipe) != has_dual_pipe; });
  Ablation out{.change = std::move(change), .model = job.model, .layout = fastest(space, job, efficiency)};
  if (!out.layout) return out;
  job.layout = *out.layout;
  out.step = step(job, efficiency);
  return out;
}

}  // namespace

catalog::Model dense_model(const catalog::Model& model) {
  catalog::Model dense = model;
  use_plain_attention(dense);
  dense.num_experts = dense.topk = dense.shared_experts = dense.expert_ffn = dense.shared_expert_ffn = 0;
  dense.dense_layers = dense.num_groups = dense.topk_groups = 0;
  dense.moe_every = 1;
  const double matrices = dense.ffn_kind == catalog::FfnKind::swiglu ? 3 : 2;
  const double missing = catalog::active_params(model) - catalog::active_params(dense);
  dense.ffn = std::max(1.0, dense.ffn + missing / (dense.layers * matrices * dense.hidden));
  return dense;
}

std::vector<Ablation> ablate(const Job& job, const calibrate::ChipEfficiency& efficiency) {
  std::vector<Ablation> out;
  Job now = job;
  now.model = dense_model(job.model);
  now.layout.dtype = work::Dtype::bf16;
  now.stack.expert_overlap = Stack::ExpertOverlap::none;  // DualPipe does, whatever the stack
  out.push_back(priced(now, "dense, multi-head attention, bf16", false, efficiency));
  if (catalog::is_moe(job.model)) {
    now.model = job.model;
    use_plain_attention(now.model);
    out.push_back(priced(now, "+ mixture of experts", false, efficiency));
  }
  if (job.model.attention != catalog::AttentionKind::mha) {
    now.model = job.model;
    const bool is_mla = job.model.attention == catalog::AttentionKind::mla;
    out.push_back(priced(now, is_mla ? "+ latent attention (MLA)" : "+ grouped queries", false, efficiency));
  }
  now.model = job.model;
  if (job.layout.dtype != now.layout.dtype) {
    now.layout.dtype = job.layout.dtype;
    out.push_back(priced(now, fmt::format("+ {}", work::to_string(now.layout.dtype)), false, efficiency));
  }
  out.push_back(priced(now, "+ DualPipe", true, efficiency));
  return out;
}

}  // namespace traincost::cost
