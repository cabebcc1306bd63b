#pragma once

#include <string>
#include <vector>

#include <traincost/catalog/model.hpp>

#include <kernels/registry.hpp>

namespace traincost::kernels {

/// y[tokens, n] = x[tokens, k] w[n, k] of one layer, unsharded.
struct Linear {
  std::string name;
  int n = 0, k = 0;
};

/// What a layer of the model multiplies outside of the routed experts.
inline std::vector<Linear> linear_layers(const catalog::Model& m) {
  const auto whole = [](double x) { return static_cast<int>(x); };
  const int hidden = whole(m.hidden), heads_out = whole(m.heads * m.v_head_dim);
  std::vector<Linear> all;
  if (m.attention == catalog::AttentionKind::mla) {
    const double query_in = m.q_lora_rank > 0 ? m.q_lora_rank : m.hidden;
    if (m.q_lora_rank > 0) all.push_back({"q down", whole(m.q_lora_rank), hidden});
    all.push_back({"q up", whole(m.heads * m.head_dim), whole(query_in)});
    all.push_back({"kv down", whole(m.kv_lora_rank + m.rope_dim), hidden});
    all.push_back({"kv up", whole(m.heads * (m.head_dim - m.rope_dim + m.v_head_dim)), whole(m.kv_lora_rank)});
  } else {
    all.push_back({"qkv", whole((m.heads + 2 * m.kv_heads) * m.head_dim), hidden});
  }
  all.push_back({"out", hidden, heads_out});
  const double width = m.ffn > 0 ? m.ffn : m.shared_experts * catalog::shared_expert_width(m);
  if (width > 0) {
    all.push_back({"up", whole((m.ffn_kind == catalog::FfnKind::swiglu ? 2 : 1) * width), hidden});
    all.push_back({"down", hidden, whole(width)});
  }
  return all;
}

}  // namespace traincost::kernels
