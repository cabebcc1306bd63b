#pragma once

#include <string>
#include <vector>

#include <traincost/catalog/model.hpp>

namespace traincost::kernels {

/// The catalogue's models with experts.
inline std::vector<catalog::Model> moe_models() {
  std::vector<catalog::Model> found;
  for (const auto& model : catalog::models())
    if (catalog::is_moe(model)) found.push_back(model);
  return found;
}

/// Tokens of one GPU: DeepSeek-V3's micro-batch of one sequence, and eight of them.
constexpr int kTokenCounts[] = {4096, 32768};

inline std::string label(const catalog::Model& model, int tokens) {
  return model.id + " tokens=" + std::to_string(tokens);
}

/// Tokens whose outputs are compared with the reference, since it runs on one CPU thread.
constexpr int kComparedTokens = 64;

}  // namespace traincost::kernels
