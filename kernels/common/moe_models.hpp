#pragma once

#include <string>
#include <vector>

#include <traincost/catalog/model.hpp>

#include <kernels/registry.hpp>

namespace traincost::kernels {

/// A model of the same kind, small enough for the PTX executor.
inline catalog::Model tiny(catalog::Model model) {
  const bool is_grouped = model.num_groups > 1;
  model.id = "tiny";
  model.hidden = 128;
  model.expert_ffn = 64;
  model.num_experts = is_grouped ? 32 : 8;
  model.topk = 2;
  model.num_groups = is_grouped ? 4 : 0;
  model.topk_groups = is_grouped ? 2 : 0;
  return model;
}

/// The catalogue's models with experts.
inline std::vector<catalog::Model> moe_models() {
  std::vector<catalog::Model> found;
  for (const auto& model : catalog::models())
    if (catalog::is_moe(model)) found.push_back(are_sizes_tiny() ? tiny(model) : model);
  if (are_sizes_tiny()) found.resize(1);
  return found;
}

/// Tokens of one GPU: DeepSeek-V3's micro-batch of one sequence, and eight of them.
inline std::vector<int> token_counts() { return are_sizes_tiny() ? std::vector{16, 48} : std::vector{4096, 32768}; }

inline std::string label(const catalog::Model& model, int tokens) {
  return model.id + " tokens=" + std::to_string(tokens);
}

/// Tokens whose outputs are compared with the reference, since it runs on one CPU thread.
constexpr int kComparedTokens = 64;

}  // namespace traincost::kernels
