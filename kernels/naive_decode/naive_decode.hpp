#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <kernels/common/require.hpp>

/// Decoding as a composition: scores by a batched product, softmax, values by a batched product. The cache must be
/// contiguous and all lengths equal; scores cross the memory four times. What the fused kernels are compared with.
namespace traincost::kernels::naive_decode {

/// The newest s_q tokens of each sequence, causal; s_q above 1 for one head of the cache only.
struct Problem {
  int b = 0, s_q = 1, h_q = 0, h_kv = 0, s_kv = 0, d_qk = 0, d_v = 0;
  float sm_scale = 0;
  int row = 0;                       // elements of a head's row in k and in v
  const __nv_bfloat16* q = nullptr;  // [b, s_q, h_q, d_qk]
  const __nv_bfloat16* k = nullptr;  // [b, s_kv, h_kv, row]
  const __nv_bfloat16* v = nullptr;  // [b, s_kv, h_kv, row]; of MLA: k, whose first d_v elements are the value
  __nv_bfloat16* out = nullptr;      // [b, s_q, h_q, d_v]
  float* lse = nullptr;              // [b, s_q, h_q]
};

/// Over the s_kv scores of each row; of those that the row does not see, the probability is 0.
struct SoftmaxParams {
  int b = 0, s_q = 1, h_q = 0, s_kv = 0;
  float sm_scale = 0;
  const float* scores = nullptr;           // [b, s_q, h_q, s_kv]
  __nv_bfloat16* probabilities = nullptr;  // [b, s_q, h_q, s_kv]
  float* lse = nullptr;                    // [b, s_q, h_q]
};

inline void validate(const SoftmaxParams& p) {
  require(p.s_q >= 1, "naive_decode", "s_q", p.s_q, "1 or more");
  require(p.s_kv >= p.s_q, "naive_decode", "s_kv", p.s_kv, "s_q or more");
}
inline void validate(const Problem& p) {
  require(p.s_q == 1 || p.h_kv == 1, "naive_decode", "h_kv", p.h_kv, "1 where s_q is above 1");
}

void launch(const SoftmaxParams& params, cudaStream_t stream);
void reference(const SoftmaxParams& params);

}  // namespace traincost::kernels::naive_decode
