#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// output[t] = sum over k of weights[t, k] * experts[row_of_slot[t, k]], accumulated in fp32 in the order of k; and its
/// gradients. Without weights it is the backward pass of moe_permute.
namespace traincost::kernels::moe_combine {

constexpr int kMaxTopk = 16;
constexpr int kScaleBlock = 128;  // columns that share one scale in fp8

struct Shape {
  std::int64_t tokens = 0;
  int topk = 0, hidden = 0;  // hidden: a multiple of 8
  bool is_fp8 = false;       // rows of the experts are e4m3 with scales; else bf16
};

struct Params {
  Shape shape;
  const int* row_of_slot = nullptr;  // [tokens, topk], -1: contributes nothing
  const float* weights = nullptr;    // [tokens, topk]; nullptr: all 1
  const void* experts = nullptr;     // [rows, hidden], bf16 or e4m3
  const float* scales = nullptr;     // [rows, ceil(hidden / 128)]; nullptr unless fp8
  __nv_bfloat16* output = nullptr;   // [tokens, hidden]
};

struct BackwardParams {
  Shape shape;
  const int* row_of_slot = nullptr;            // [tokens, topk]
  const float* weights = nullptr;              // [tokens, topk]
  const void* experts = nullptr;               // [rows, hidden], bf16 or e4m3
  const float* scales = nullptr;               // [rows, ceil(hidden / 128)]; nullptr unless fp8
  const __nv_bfloat16* grad_output = nullptr;  // [tokens, hidden]
  __nv_bfloat16* grad_experts = nullptr;       // [rows, hidden]; rows without a slot are left as they are
  float* grad_weights = nullptr;               // [tokens, topk]; 0 for a slot without a row
};

inline void validate(const Shape& s) {
  require(s.tokens >= 0 && s.tokens < (std::int64_t{1} << 31), "moe_combine", "tokens", s.tokens, "0..2^31-1");
  require(s.topk >= 1 && s.topk <= kMaxTopk, "moe_combine", "topk", s.topk, "1..16");
  require(s.hidden >= 8 && s.hidden % 8 == 0, "moe_combine", "hidden", s.hidden, "a multiple of 8");
}

void launch(const Params& params, cudaStream_t stream);
void launch(const BackwardParams& params, cudaStream_t stream);
void reference(const Params& params);
void reference(const BackwardParams& params);

}  // namespace traincost::kernels::moe_combine
