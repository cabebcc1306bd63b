#pragma once

#include <kernels/common/vec8.cuh>

/// The scale of a block of e4m3 codes from its largest element.
namespace traincost::kernels {

constexpr float kMaxCode = 448;

__device__ __forceinline__ float max_abs(const Float8& f) {
  float largest = 0;
#pragma unroll
  for (float x : f.x) largest = fmaxf(largest, fabsf(x));
  return largest;
}

__device__ __forceinline__ float scale_of(float largest) { return largest > 0 ? largest / kMaxCode : 1.0F; }

/// Eight codes of x / scale at vector `vector`.
__device__ __forceinline__ void store_codes(std::uint8_t* output, std::int64_t vector, Float8 f, float scale) {
#pragma unroll
  for (float& x : f.x) x /= scale;
  store8(reinterpret_cast<__nv_fp8_e4m3*>(output), vector, f);
}

}  // namespace traincost::kernels
