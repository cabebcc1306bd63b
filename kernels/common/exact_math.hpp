#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include <kernels/common/host_device.hpp>

/// fp32 arithmetic that gives the same bits on the host and on the device: each operation rounds once and none is
/// contracted. A kernel that ranks by such values can be compared with its reference id by id.
namespace traincost::kernels::exact {

TRAINCOST_HOST_DEVICE std::uint32_t bits(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  return std::bit_cast<std::uint32_t>(x);
#endif
}

TRAINCOST_HOST_DEVICE float from_bits(std::uint32_t u) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(u);
#else
  return std::bit_cast<float>(u);
#endif
}

TRAINCOST_HOST_DEVICE float add(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}

TRAINCOST_HOST_DEVICE float mul(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

TRAINCOST_HOST_DEVICE float fma(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

TRAINCOST_HOST_DEVICE float div(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fdiv_rn(a, b);
#else
  return a / b;
#endif
}

/// The largest |x| at which exp(x) and exp(-x) are normal numbers.
constexpr float kExpLimit = 87.0F;

/// exp(x) for x in [-87, 87], 0 below; within 2 ulp. Cody-Waite reduction by ln 2 in two parts, then the Taylor
/// polynomial of degree 7 on |r| <= ln 2 / 2, whose first neglected term is 5e-9 relative.
TRAINCOST_HOST_DEVICE float exp(float x) {
  if (!(x >= -kExpLimit)) return 0.0F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low mantissa bits
  const float shifted = fma(x, 1.44269504F, kRound);
  const float n = add(shifted, -kRound);
  float r = fma(n, -0.693145752F, x);
  r = fma(n, -1.42860677e-6F, r);
  float p = fma(r, 1.0F / 5040, 1.0F / 720);
  p = fma(p, r, 1.0F / 120);
  p = fma(p, r, 1.0F / 24);
  p = fma(p, r, 1.0F / 6);
  p = fma(p, r, 0.5F);
  p = fma(p, r, 1.0F);
  p = fma(p, r, 1.0F);
  const std::uint32_t exponent = bits(shifted) - bits(kRound);
  return from_bits(bits(p) + (exponent << 23));
}

TRAINCOST_HOST_DEVICE float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

TRAINCOST_HOST_DEVICE float sigmoid(float x) { return div(1.0F, add(1.0F, exp(clamp(-x, -kExpLimit, kExpLimit)))); }

/// Unsigned keys in the order of the floats: NaN below everything, -0 equal to +0. Never 0, which is left for "not a
/// candidate".
TRAINCOST_HOST_DEVICE std::uint32_t order_key(float x) {
  if (x != x) return 1;
  const std::uint32_t u = bits(add(x, 0.0F));  // -0 + 0 = +0
  return (u & 0x80000000U) != 0 ? ~u : u | 0x80000000U;
}

/// Inverse of order_key, NaN as minus infinity.
TRAINCOST_HOST_DEVICE float from_order_key(std::uint32_t key) {
  if (key <= 1) return from_bits(0xff800000U);
  return from_bits((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}

}  // namespace traincost::kernels::exact
