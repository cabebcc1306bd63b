#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// Norms over the hidden width, bf16 in and out, fp32 within.
///
///   RMSNorm    y = x / rms(x) weight,                    rms(x)^2 = mean(x^2) + epsilon     (arXiv 1910.07467, eq. 4)
///   LayerNorm  y = (x - mean(x)) / sigma(x) weight + bias                                   (arXiv 1607.06450, eq. 4)
///   RMSNorm's input gradient: with g = grad_y weight and h = x / rms(x): (g - h mean(g h)) / rms(x)
namespace traincost::kernels::norms {

struct Shape {
  std::int64_t rows = 0;
  int columns = 0;  // a multiple of 8, at most 65,536
};

struct ForwardParams {
  Shape shape;
  float epsilon = 1e-6F;
  const __nv_bfloat16* x = nullptr;       // [rows, columns]
  const __nv_bfloat16* weight = nullptr;  // [columns]
  const __nv_bfloat16* bias = nullptr;    // [columns]; nullptr: RMSNorm, else LayerNorm
  __nv_bfloat16* y = nullptr;             // [rows, columns]
};

struct InputGradientParams {
  Shape shape;
  float epsilon = 1e-6F;
  const __nv_bfloat16* x = nullptr;       // [rows, columns]
  const __nv_bfloat16* weight = nullptr;  // [columns]
  const __nv_bfloat16* grad_y = nullptr;  // [rows, columns]
  __nv_bfloat16* grad_x = nullptr;        // [rows, columns]
};

inline void validate(const Shape& s) {
  require(s.rows >= 0, "norms", "rows", s.rows, "0 or more");
  require(s.columns >= 8 && s.columns % 8 == 0 && s.columns <= 65536, "norms", "columns", s.columns,
          "a multiple of 8 up to 65536");
}

void launch(const ForwardParams& params, cudaStream_t stream);
void launch(const InputGradientParams& params, cudaStream_t stream);

void reference(const ForwardParams& params);
void reference(const InputGradientParams& params);

}  // namespace traincost::kernels::norms
