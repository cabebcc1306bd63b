#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include <kernels/common/require.hpp>

/// The linear layers outside of the experts: output[m, n] = sum over k of input[m, k] weight[n, k], fp32 accumulation,
/// bf16 out. bf16 by grouped_gemm's kernel with a single expert, cuBLAS and cuBLASLt; fp8 (e4m3, one scale per tensor)
/// by cuBLASLt. The yardstick of all other products.
namespace traincost::kernels::gemm {

struct Shape {
  int m = 0, n = 0, k = 0;  // n, k: multiples of 16, as cuBLASLt asks of fp8
};

template <class Element>
struct Params {
  Shape shape;
  const Element* input = nullptr;   // [m, k]
  const Element* weight = nullptr;  // [n, k]
  __nv_bfloat16* output = nullptr;  // [m, n]
  float scale = 1;                  // of the product: input scale x weight scale
};
using Bf16Params = Params<__nv_bfloat16>;
using Fp8Params = Params<std::uint8_t>;  // e4m3 codes

inline void validate(const Shape& s) {
  require(s.m >= 1, "gemm", "m", s.m, "1 or more");
  require(s.n >= 16 && s.n % 16 == 0, "gemm", "n", s.n, "a multiple of 16");
  require(s.k >= 16 && s.k % 16 == 0, "gemm", "k", s.k, "a multiple of 16");
}

/// One element, in fp64.
double reference(const Bf16Params& params, int row, int column);
double reference(const Fp8Params& params, int row, int column);

/// cuBLASLt with the algorithm that its heuristic puts first, chosen once.
class CublasLtGemm {
 public:
  CublasLtGemm(const Shape& shape, bool is_fp8);
  ~CublasLtGemm();
  CublasLtGemm(const CublasLtGemm&) = delete;
  CublasLtGemm& operator=(const CublasLtGemm&) = delete;

  void launch(const void* input, const void* weight, __nv_bfloat16* output, float scale, cudaStream_t stream) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace traincost::kernels::gemm
