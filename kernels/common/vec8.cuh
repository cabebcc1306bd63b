#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <cstdint>

/// Eight elements at a time: one vector load, fp32 in registers.
namespace traincost::kernels {

struct Float8 {
  float x[8];
};

__device__ __forceinline__ float low_bf16(std::uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_bf16(std::uint32_t pair) { return __uint_as_float(pair & 0xffff0000U); }

__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(pair.x)) |
         static_cast<std::uint32_t>(__bfloat16_as_ushort(pair.y)) << 16;
}

__device__ __forceinline__ Float8 unpack_bf16(uint4 v) {
  return {low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y),
          low_bf16(v.z), high_bf16(v.z), low_bf16(v.w), high_bf16(v.w)};
}

/// `index` counts vectors of eight elements.
__device__ __forceinline__ Float8 load8(const __nv_bfloat16* p, std::int64_t index) {
  return unpack_bf16(reinterpret_cast<const uint4*>(p)[index]);
}

__device__ __forceinline__ float2 unpack_e4m3(std::uint32_t pair) {
  const __half2_raw halves = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(pair & 0xffffU), __NV_E4M3);
  return __half22float2(__half2(halves));
}

__device__ __forceinline__ Float8 load8(const __nv_fp8_e4m3* p, std::int64_t index) {
  const uint2 v = reinterpret_cast<const uint2*>(p)[index];
  const float2 a = unpack_e4m3(v.x), b = unpack_e4m3(v.x >> 16), c = unpack_e4m3(v.y), d = unpack_e4m3(v.y >> 16);
  return {a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y};
}

__device__ __forceinline__ void store8(__nv_bfloat16* p, std::int64_t index, const Float8& f) {
  reinterpret_cast<uint4*>(p)[index] = make_uint4(pack_bf16(f.x[0], f.x[1]), pack_bf16(f.x[2], f.x[3]),
                                                  pack_bf16(f.x[4], f.x[5]), pack_bf16(f.x[6], f.x[7]));
}

__device__ __forceinline__ std::uint32_t pack_e4m3(float low, float high) {
  return __nv_cvt_float2_to_fp8x2(make_float2(low, high), __NV_SATFINITE, __NV_E4M3);
}

__device__ __forceinline__ void store8(__nv_fp8_e4m3* p, std::int64_t index, const Float8& f) {
  reinterpret_cast<uint2*>(p)[index] = make_uint2(pack_e4m3(f.x[0], f.x[1]) | pack_e4m3(f.x[2], f.x[3]) << 16,
                                                  pack_e4m3(f.x[4], f.x[5]) | pack_e4m3(f.x[6], f.x[7]) << 16);
}

}  // namespace traincost::kernels
