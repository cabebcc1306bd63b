#pragma once

#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>

/// A dense product in fp8 on Hopper: that of the experts with a single one, which owns all rows.
///
///   output[m, n] = sum over k of (input[m, k] is) (weight[n, k] ws), bf16; scales as DeepSeek-V3 blocks them.
namespace traincost::kernels::gemm::sm90 {

struct Fp8Params {
  int m = 0, n = 0, k = 0;               // n: a multiple of 8, k of 16
  const std::uint8_t* input = nullptr;   // [m, k], e4m3
  const float* input_scales = nullptr;   // [ceil(k / 128), scale_stride]
  std::int64_t scale_stride = 0;         // at least m, a multiple of 4
  const std::uint8_t* weight = nullptr;  // [n, k], e4m3
  const float* weight_scales = nullptr;  // [ceil(n / 128), ceil(k / 128)]
  __nv_bfloat16* output = nullptr;       // [m, n]
};

inline grouped_gemm::sm90::Fp8Params as_grouped(const Fp8Params& p) {
  return {.shape = {.num_experts = 1, .n = p.n, .k = p.k, .max_rows = p.m},
          .rows = p.m,
          .input = p.input,
          .input_scales = p.input_scales,
          .scale_stride = p.scale_stride,
          .weight = p.weight,
          .weight_scales = p.weight_scales,
          .output = p.output};
}

inline void launch(const Fp8Params& params, cudaStream_t stream) {
  grouped_gemm::sm90::launch(as_grouped(params), stream);
}

inline void reference(const Fp8Params& params) { grouped_gemm::sm90::reference(as_grouped(params)); }

}  // namespace traincost::kernels::gemm::sm90
