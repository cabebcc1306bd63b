#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <vector>

#include <kernels/common/require.hpp>

/// Attention over whole sequences, forward and backward, bf16 with fp32 within, by cuDNN's fused kernels: the yardstick
/// for 128/128 heads and for MLA's 192/128.
///
///   scores[i, j] = sm_scale q[i] k[j], j <= i if causal;   p = softmax(scores);   out = p v;   lse = log sum exp
///   scores backward, with delta[i] = grad_out[i] out[i] and ds = p (grad_out v^T - delta): grad_q = sm_scale ds k,
///   grad_k = sm_scale ds^T q, grad_v = p^T grad_out                                   (arXiv 2205.14135, appendix B.2)
namespace traincost::kernels::attention {

struct Shape {
  int b = 0, s = 0;                          // as many keys as queries
  int h_q = 0, h_kv = 0, d_qk = 0, d_v = 0;  // h_q: a multiple of h_kv
  bool is_causal = true;

  [[nodiscard]] float sm_scale() const;  // 1 / sqrt(d_qk)
};

struct Tensors {
  Shape shape;
  const __nv_bfloat16* q = nullptr;         // [b, s, h_q, d_qk]
  const __nv_bfloat16* k = nullptr;         // [b, s, h_kv, d_qk]
  const __nv_bfloat16* v = nullptr;         // [b, s, h_kv, d_v]
  const __nv_bfloat16* grad_out = nullptr;  // [b, s, h_q, d_v]; may be nullptr for the forward pass
};

struct Outputs {
  __nv_bfloat16* out = nullptr;     // [b, s, h_q, d_v]
  float* lse = nullptr;             // [b, h_q, s]
  __nv_bfloat16* grad_q = nullptr;  // [b, s, h_q, d_qk]; the gradients may be nullptr for the forward pass
  __nv_bfloat16* grad_k = nullptr;  // [b, s, h_kv, d_qk]
  __nv_bfloat16* grad_v = nullptr;  // [b, s, h_kv, d_v]
};

inline void validate(const Shape& s) {
  require(s.b >= 1, "attention", "b", s.b, "1 or more");
  require(s.s >= 1, "attention", "s", s.s, "1 or more");
  require(s.h_kv >= 1 && s.h_q % s.h_kv == 0, "attention", "h_q", s.h_q, "a multiple of h_kv");
  require(s.d_qk >= 8 && s.d_qk % 8 == 0, "attention", "d_qk", s.d_qk, "a multiple of 8");
  require(s.d_v >= 8 && s.d_v % 8 == 0, "attention", "d_v", s.d_v, "a multiple of 8");
}

/// One row of an output, in fp64 from the inputs: all rows would take the CPU hours.
using Vector = std::vector<double>;
Vector reference_out(const Tensors& t, int b, int h, int i);
Vector reference_grad_q(const Tensors& t, int b, int h, int i);
struct KeyGradients {
  Vector k, v;
};
KeyGradients reference_grad_kv(const Tensors& t, int b, int h_kv, int j);

/// cuDNN's graph of one shape and direction, built once.
class CudnnAttention {
 public:
  enum class Direction { forward, backward };
  CudnnAttention(const Shape& shape, Direction direction);
  ~CudnnAttention();
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;

  /// Backward reads out and lse of the forward pass.
  void launch(const Tensors& tensors, const Outputs& outputs, cudaStream_t stream) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace traincost::kernels::attention
