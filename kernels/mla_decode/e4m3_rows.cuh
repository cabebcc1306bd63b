#pragma once

#include <cuda_fp16.h>

#include <kernels/common/swizzled_rows.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/mla_decode/mla_decode.hpp>

namespace traincost::kernels::mla_decode {

/// Two e4m3 codes in the upper bytes of the halves. Shifted by one below its sign a code is an fp16 of the same digits
/// whose exponent is 8 too small (bias 15 against 7), subnormals included; NaN, 0x7f, needs its own pattern.
__device__ __forceinline__ float2 halves_of_e4m3(std::uint32_t codes) {
  std::uint32_t bits = (codes & 0x80008000U) | (codes & 0x7f007f00U) >> 1;
  if ((codes & 0x7f00U) == 0x7f00U) bits |= 0x7fffU;
  if ((codes & 0x7f000000U) == 0x7f000000U) bits |= 0x7fff0000U;
  const __half2_raw raw{static_cast<unsigned short>(bits), static_cast<unsigned short>(bits >> 16)};
  return __half22float2(__half2(raw));
}

/// Eight codes times a scale, as eight bf16.
__device__ __forceinline__ uint4 scaled_e4m3(uint2 codes, float scale) {
  constexpr float kBiasDifference = 256;  // 2^(15 - 7)
  const auto pair = [&](std::uint32_t two) {
    const float2 x = halves_of_e4m3(two);
    return pack_bf16(x.x * kBiasDifference * scale, x.y * kBiasDifference * scale);
  };
  return make_uint4(pair(__byte_perm(codes.x, 0, 0x1404)), pair(__byte_perm(codes.x, 0, 0x3424)),
                    pair(__byte_perm(codes.y, 0, 0x1404)), pair(__byte_perm(codes.y, 0, 0x3424)));
}

/// kTokens tokens as they lie in the fp8 cache -> rows of bf16, both in shared memory, by kThreads threads.
template <int kTokens, int kThreads>
__device__ __forceinline__ void expand_tile(const char* raw, char* tile) {
  constexpr int kVectors = kLatent / 8;
  constexpr int kRopeVectors = kRope / 8;
  const SwizzledRows<kKeyDim> rows{0};
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kTokens * kVectors; i += kThreads) {
    const char* token = raw + i / kVectors * kFp8TokenBytes;
    const int vector = i % kVectors;
    const float scale = reinterpret_cast<const float*>(token + kScaleOffset)[vector * 8 / kScaleBlock];
    const uint2 codes = reinterpret_cast<const uint2*>(token)[vector];
    *reinterpret_cast<uint4*>(tile + rows.at(i / kVectors, vector)) = scaled_e4m3(codes, scale);
  }
  for (int i = static_cast<int>(threadIdx.x); i < kTokens * kRopeVectors; i += kThreads) {
    const int row = i / kRopeVectors;
    const int vector = i % kRopeVectors;
    *reinterpret_cast<uint4*>(tile + rows.at(row, kVectors + vector)) =
        *reinterpret_cast<const uint4*>(raw + row * kFp8TokenBytes + kRopeOffset + vector * 16);
  }
}

}  // namespace traincost::kernels::mla_decode
