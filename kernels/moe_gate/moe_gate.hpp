#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// From router logits to experts and weights, one warp per token.
///
/// Selection is a total order: score descending, then expert id ascending, -0 equal to +0; a NaN ranks below every
/// number. An id is therefore always one of 0..num_experts-1 and the ids of a token are distinct. The weight of a NaN
/// logit is 0, infinities count as the largest finite number.
namespace traincost::kernels::moe_gate {

constexpr int kMaxExperts = 512;
constexpr int kMaxTopk = 16;
constexpr int kMaxGroups = 32;

enum class Scoring {
  softmax,               // weight = scale * probability among all experts
  softmax_renormalized,  // weight = scale * probability among the selected
  sigmoid,               // DeepSeek-V3, arXiv 2412.19437, eq. 12-16: weight = scale * sigmoid / sum over the selected
};
enum class LogitType { fp32, bf16 };

/// With groups (sigmoid only): a group's score is the sum of its two best biased scores; experts come from the best
/// topk_groups groups. The bias decides the selection and never enters a weight.
struct Shape {
  std::int64_t tokens = 0;
  int num_experts = 0, topk = 0;
  int num_groups = 1, topk_groups = 1;
  Scoring scoring = Scoring::softmax;
  LogitType logit_type = LogitType::fp32;
  float scale = 1;
};

struct Params {
  Shape shape;
  const void* logits = nullptr;  // [tokens, num_experts], fp32 or bf16
  const float* bias = nullptr;   // [num_experts], may be nullptr; sigmoid only
  int* ids = nullptr;            // [tokens, topk], best first
  float* weights = nullptr;      // [tokens, topk]
  int* load = nullptr;           // [num_experts], may be nullptr; the tokens of each expert are added to it
};

struct BackwardParams {
  Shape shape;
  const void* logits = nullptr;         // [tokens, num_experts], fp32 or bf16
  const int* ids = nullptr;             // [tokens, topk]
  const float* grad_weights = nullptr;  // [tokens, topk]
  float* grad_logits = nullptr;         // [tokens, num_experts]
};

/// bias += gamma * sign(mean load - load): balance without an auxiliary loss (arXiv 2408.15664).
struct BiasUpdateParams {
  int num_experts = 0;
  float gamma = 0;
  const int* load = nullptr;  // [num_experts], summed over all GPUs
  float* bias = nullptr;      // [num_experts]
};

inline void validate(const Shape& s) {
  require(s.tokens >= 0, "moe_gate", "tokens", s.tokens, "0 or more");
  require(s.num_experts >= 1 && s.num_experts <= kMaxExperts, "moe_gate", "num_experts", s.num_experts, "1..512");
  require(s.topk >= 1 && s.topk <= kMaxTopk, "moe_gate", "topk", s.topk, "1..16");
  require(s.num_groups >= 1 && s.num_groups <= kMaxGroups && s.num_experts % s.num_groups == 0, "moe_gate",
          "num_groups", s.num_groups, "1..32 and a divisor of num_experts");
  require(s.num_groups == 1 || s.scoring == Scoring::sigmoid, "moe_gate", "num_groups", s.num_groups,
          "1 unless the scoring is sigmoid");
  require(s.topk_groups >= 1 && s.topk_groups <= s.num_groups, "moe_gate", "topk_groups", s.topk_groups,
          "1..num_groups");
  require(s.topk <= s.topk_groups * (s.num_experts / s.num_groups), "moe_gate", "topk", s.topk,
          "at most the experts of topk_groups groups");
}

void launch(const Params& params, cudaStream_t stream);
void launch(const BackwardParams& params, cudaStream_t stream);
void launch(const BiasUpdateParams& params, cudaStream_t stream);

/// The same with host pointers.
void reference(const Params& params);
void reference(const BackwardParams& params);
void reference(const BiasUpdateParams& params);

}  // namespace traincost::kernels::moe_gate
