#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// bf16 -> e4m3 with one fp32 scale per block of rows_per_scale x 128 elements (1: activations, 128: weights), as in
/// DeepSeek-V3, arXiv 2412.19437, section 3.3.2: scale = max |x| / 448, code = e4m3(x / scale).
///
/// A block of zeros has scale 1. A NaN becomes the NaN code and does not enter the maximum; an infinity makes the scale
/// infinite, so that the whole block reads back as NaN and an overflow is not hidden.
namespace traincost::kernels::quantize {

constexpr int kScaleBlock = 128;

struct Params {
  std::int64_t rows = 0;
  int columns = 0;                       // a multiple of 8
  int rows_per_scale = 1;                // 1 or 128
  const __nv_bfloat16* input = nullptr;  // [rows, columns]
  std::uint8_t* output = nullptr;        // [rows, columns], e4m3
  float* scales = nullptr;               // [ceil(rows / rows_per_scale), ceil(columns / 128)]
  // Activations for Hopper's fp8 products: scales by columns, [ceil(columns / 128), scale_stride], rows side by side.
  std::int64_t scale_stride = 0;  // 0: as above; else at least rows
};

inline void validate(const Params& p) {
  require(p.rows >= 0, "quantize", "rows", p.rows, "0 or more");
  require(p.columns >= 8 && p.columns % 8 == 0, "quantize", "columns", p.columns, "a multiple of 8");
  require(p.rows_per_scale == 1 || p.rows_per_scale == kScaleBlock, "quantize", "rows_per_scale", p.rows_per_scale,
          "1 or 128");
  if (p.scale_stride == 0) return;
  require(p.rows_per_scale == 1, "quantize", "rows_per_scale", p.rows_per_scale, "1, with scales by columns");
  require(p.scale_stride >= p.rows, "quantize", "scale_stride", p.scale_stride, "0, or rows or more");
}

void launch(const Params& params, cudaStream_t stream);
void reference(const Params& params);

}  // namespace traincost::kernels::quantize
