#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <kernels/common/require.hpp>

/// Attention over whole sequences of any lengths, one behind the other in memory, forward and backward, bf16 with fp32
/// within: MLA as it is trained (192/128, h_kv = h_q), GQA and MHA (128/128). cuDNN's fused kernels take other heads
/// too.
///
///   scores[i, j] = sm_scale q[i] k[j]; causal: j <= i + s_k - s_q, so that the last query sees all keys
///   p = softmax(scores), out = p v, lse = log(sum of exp(scores)); a query that sees nothing: out 0, lse minus
///   infinity
///
/// Backward (arXiv 2205.14135, appendix B.2), with delta[i] = grad_out[i] out[i] and ds = p (grad_out v^T - delta):
///
///   grad_q = sm_scale ds k, grad_k = sm_scale ds^T q, grad_v = p^T grad_out
namespace traincost::kernels::attention {

struct Shape {
  int b = 0;
  int total_q = 0, total_k = 0;              // tokens of all sequences
  int max_seqlen_q = 0, max_seqlen_k = 0;    // of the longest
  int h_q = 0, h_kv = 0, d_qk = 0, d_v = 0;  // h_q: a multiple of h_kv
  bool is_causal = true;

  [[nodiscard]] float sm_scale() const;  // 1 / sqrt(d_qk)
};

/// Sequences of s queries and s keys each.
constexpr Shape of_equal_lengths(int b, int s, Shape heads) {
  heads.b = b;
  heads.total_q = heads.total_k = b * s;
  heads.max_seqlen_q = heads.max_seqlen_k = s;
  return heads;
}

template <class Element>
struct TensorsOf {
  Shape shape;
  const int* cu_seqlens_q = nullptr;  // [b + 1]: sequence n has the rows cu_seqlens_q[n] .. cu_seqlens_q[n + 1]
  const int* cu_seqlens_k = nullptr;  // [b + 1]
  const Element* q = nullptr;         // [total_q, h_q, d_qk]
  const Element* k = nullptr;         // [total_k, h_kv, d_qk]
  const Element* v = nullptr;         // [total_k, h_kv, d_v]
  const Element* grad_out = nullptr;  // [total_q, h_q, d_v]; may be nullptr for the forward pass
};
using Tensors = TensorsOf<__nv_bfloat16>;

struct Outputs {
  __nv_bfloat16* out = nullptr;     // [total_q, h_q, d_v]; with lse an input of the backward pass
  float* lse = nullptr;             // [h_q, total_q]
  __nv_bfloat16* grad_q = nullptr;  // [total_q, h_q, d_qk]; the gradients may be nullptr for the forward pass
  __nv_bfloat16* grad_k = nullptr;  // [total_k, h_kv, d_qk]
  __nv_bfloat16* grad_v = nullptr;  // [total_k, h_kv, d_v]
};

/// How a backward pass works. Deterministic: the same bits each time.
struct Backward {
  bool is_deterministic = false;
  void* workspace = nullptr;  // [workspace_bytes(shape, ...)], aligned as cudaMalloc does
};

inline void validate(const Shape& s) {
  require(s.b >= 1 && s.b <= 65535, "attention", "b", s.b, "1..65535");  // a dimension of grids
  require(s.total_q >= 0, "attention", "total_q", s.total_q, "0 or more");
  require(s.total_k >= 0, "attention", "total_k", s.total_k, "0 or more");
  require(s.max_seqlen_q <= s.total_q, "attention", "max_seqlen_q", s.max_seqlen_q, "total_q or less");
  require(s.max_seqlen_k <= s.total_k, "attention", "max_seqlen_k", s.max_seqlen_k, "total_k or less");
  require(s.h_kv >= 1 && s.h_q % s.h_kv == 0, "attention", "h_q", s.h_q, "a multiple of h_kv");
  require(s.d_qk >= 8 && s.d_qk % 8 == 0, "attention", "d_qk", s.d_qk, "a multiple of 8");
  require(s.d_v >= 8 && s.d_v % 8 == 0, "attention", "d_v", s.d_v, "a multiple of 8");
}

/// Heads that kernels of our own take.
constexpr bool has_own_kernel(const Shape& s) { return s.d_v == 128 && (s.d_qk == 128 || s.d_qk == 192); }

constexpr int kMaxSeqlen = 1 << 23;

inline void validate_own(const Shape& s) {
  validate(s);
  require(s.max_seqlen_q <= kMaxSeqlen, "attention", "max_seqlen_q", s.max_seqlen_q, "2^23 or less");
  require(s.max_seqlen_k <= kMaxSeqlen, "attention", "max_seqlen_k", s.max_seqlen_k, "2^23 or less");
  require(s.d_v == 128, "attention", "d_v", s.d_v, "128");
  require(has_own_kernel(s), "attention", "d_qk", s.d_qk, "128 or 192");
}

/// Kernels of our own, from sm_80 on.
void launch_forward(const Tensors& tensors, const Outputs& outputs, cudaStream_t stream);
void launch_backward(const Tensors& tensors, const Outputs& outputs, const Backward& how, cudaStream_t stream);
std::size_t workspace_bytes(const Shape& shape, bool is_deterministic);

/// One row of an output, in fp64 from the inputs on the host: all rows would take the CPU hours. i and j count from the
/// beginning of sequence n.
using Vector = std::vector<double>;
Vector reference_out(const Tensors& t, int n, int h, int i);
Vector reference_grad_q(const Tensors& t, int n, int h, int i);
struct KeyGradients {
  Vector k, v;
};
KeyGradients reference_grad_kv(const Tensors& t, int n, int h_kv, int j);

/// All of it, laid out as Outputs; the gradients are empty without grad_out. For __nv_bfloat16 and double.
struct Reference {
  Vector out, lse, grad_q, grad_k, grad_v;
};
template <class Element>
Reference reference(const TensorsOf<Element>& t);

/// cuDNN's graph of one shape and direction, built once. Sequences of equal lengths only.
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
