#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

#include <kernels/common/random.hpp>
#include <kernels/moe_gate/moe_gate.hpp>

/// A gate's inputs on the host, and the outputs of whoever is asked.
namespace traincost::kernels::moe_gate {

inline std::ostream& operator<<(std::ostream& out, const Shape& s) {
  constexpr const char* kScorings[] = {"softmax", "softmax_renormalized", "sigmoid"};
  return out << s.tokens << " tokens, " << s.num_experts << " experts, top " << s.topk << ", " << s.topk_groups
             << " of " << s.num_groups << " groups, " << kScorings[static_cast<int>(s.scoring)]
             << (s.logit_type == LogitType::bf16 ? ", bf16" : ", fp32");
}

/// DeepSeek-V3 (arXiv 2412.19437, section 4.2).
inline Shape deepseek_v3(std::int64_t tokens) {
  return {.tokens = tokens,
          .num_experts = 256,
          .topk = 8,
          .num_groups = 8,
          .topk_groups = 4,
          .scoring = Scoring::sigmoid,
          .scale = 2.5F};
}

/// How the logits are drawn.
enum class Logits {
  spread,     // uniform in -4..4
  ties,       // of nine values only
  equal,      // all the same
  zeros,      // +0 and -0
  non_finite  // a fifth each of NaN, +inf, -inf
};

struct Problem {
  Shape shape;
  std::vector<float> logits;  // also the source of the bf16 ones
  std::vector<__nv_bfloat16> logits_bf16;
  std::vector<float> bias;

  [[nodiscard]] const void* data() const {
    return shape.logit_type == LogitType::fp32 ? static_cast<const void*>(logits.data())
                                               : static_cast<const void*>(logits_bf16.data());
  }
};

struct Routing {
  std::vector<int> ids;
  std::vector<float> weights;
  std::vector<int> load;
};

inline float draw(Random& random, Logits kind) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  switch (kind) {
    case Logits::spread:
      return random.uniform(-4, 4);
    case Logits::ties:
      return static_cast<float>(random.below(9) - 4);
    case Logits::equal:
      return 1.5F;
    case Logits::zeros:
      return random.below(2) == 0 ? 0.0F : -0.0F;
    case Logits::non_finite:
      break;
  }
  const float values[] = {std::numeric_limits<float>::quiet_NaN(), kInf, -kInf, 1, -1};
  return values[random.below(5)];
}

inline Problem problem(const Shape& shape, Logits kind, bool has_bias, std::uint64_t seed) {
  Random random(seed);
  Problem p{.shape = shape, .logits = {}, .logits_bf16 = {}, .bias = {}};
  for (std::int64_t i = 0; i < shape.tokens * shape.num_experts; ++i) p.logits.push_back(draw(random, kind));
  for (const float x : p.logits) p.logits_bf16.push_back(__float2bfloat16(x));
  if (has_bias) p.bias = random_floats(static_cast<std::size_t>(shape.num_experts), -0.2F, 0.2F, seed + 1);
  return p;
}

inline Routing reference_routing(const Problem& p) {
  const auto slots = static_cast<std::size_t>(p.shape.tokens * p.shape.topk);
  Routing r{std::vector<int>(slots, -1), std::vector<float>(slots, -1),
            std::vector<int>(static_cast<std::size_t>(p.shape.num_experts), 0)};
  reference(Params{.shape = p.shape,
                   .logits = p.data(),
                   .bias = p.bias.empty() ? nullptr : p.bias.data(),
                   .ids = r.ids.data(),
                   .weights = r.weights.data(),
                   .load = r.load.data()});
  return r;
}

inline std::vector<float> reference_gradient(const Problem& p, const std::vector<int>& ids,
                                             const std::vector<float>& grad_weights) {
  std::vector<float> grad(p.logits.size(), -1);
  reference(BackwardParams{.shape = p.shape,
                           .logits = p.data(),
                           .ids = ids.data(),
                           .grad_weights = grad_weights.data(),
                           .grad_logits = grad.data()});
  return grad;
}

}  // namespace traincost::kernels::moe_gate
