#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

/// e4m3 on the host, from its definition (OCP 8-bit floating point: 4 exponent bits, bias 7, no infinity, NaN 0x7f):
/// the references' own, independent of the CUDA headers.
namespace traincost::kernels {

constexpr float kMaxE4m3 = 448;

inline float decode_e4m3(std::uint8_t code) {
  const int exponent = code >> 3 & 0xf;
  const int mantissa = code & 0x7;
  const float sign = (code & 0x80) != 0 ? -1.0F : 1.0F;
  if (exponent == 0xf && mantissa == 0x7) return std::numeric_limits<float>::quiet_NaN();
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                               : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10));
}

/// The nearest code, ties to the even one, saturated; NaN stays NaN.
inline std::uint8_t encode_e4m3(float x) {
  const std::uint8_t sign = std::signbit(x) ? 0x80 : 0;
  if (std::isnan(x)) return sign | 0x7f;
  const float size = std::fabs(x);
  if (size >= kMaxE4m3) return sign | 0x7e;
  std::uint8_t below = 0;  // the codes 0..0x7e rise with their values
  for (std::uint8_t step = 0x40; step != 0; step >>= 1)
    if ((below | step) <= 0x7e && decode_e4m3(below | step) <= size) below |= step;
  const float down = size - decode_e4m3(below);
  const float up = decode_e4m3(below + 1) - size;
  const bool rounds_up = up < down || (up == down && (below & 1) != 0);
  return sign | static_cast<std::uint8_t>(below + (rounds_up ? 1 : 0));
}

}  // namespace traincost::kernels
