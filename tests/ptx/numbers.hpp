#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// The narrow floating formats as PTX defines them (PTX ISA 5.2.3), with their conversions from and to fp32.
namespace ptx {

struct Half {
  std::uint16_t bits = 0;
};
struct Bf16 {
  std::uint16_t bits = 0;
};

inline float to_float(Bf16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }
inline float to_float(Half value) { return static_cast<float>(std::bit_cast<_Float16>(value.bits)); }
inline float to_float(float value) { return value; }

enum class Rounding : std::uint8_t { kNearest, kZero, kDown, kUp };

inline Bf16 to_bf16(float value, Rounding rounding = Rounding::kNearest) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return {0x7fff};  // the canonical NaN
  if (rounding == Rounding::kZero) return {static_cast<std::uint16_t>(bits >> 16)};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16)};
}

inline Half to_half(float value, Rounding rounding = Rounding::kNearest) {
  if (std::isnan(value)) return {0x7fff};
  const auto near = static_cast<_Float16>(value);
  auto bits = std::bit_cast<std::uint16_t>(near);
  if (rounding == Rounding::kZero && std::fabs(static_cast<float>(near)) > std::fabs(value)) --bits;
  return {bits};
}

template <class T>
T from_float(float value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return to_bf16(value);
  } else if constexpr (std::is_same_v<T, Half>) {
    return to_half(value);
  } else {
    return value;
  }
}

/// One rounding of a double: correct for a*b+c of narrow values, whose product is exact in double and whose sum loses
/// at most what lies far below the last place.
template <class T>
T from_double(double value) {
  // Round to odd into fp32 first, so that the second rounding is the only one that shows.
  auto narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) != value && !std::isnan(value) && !std::isinf(narrow)) {
    auto bits = std::bit_cast<std::uint32_t>(narrow);
    if (std::fabs(static_cast<double>(narrow)) > std::fabs(value)) --bits;
    narrow = std::bit_cast<float>(bits | 1U);
  }
  return from_float<T>(narrow);
}

/// fp8: e4m3 has no infinity and one NaN pattern (0x7f), largest 448; e5m2 is like fp16, largest 57344.
/// Conversions saturate to the largest finite value (.satfinite).
template <int kMantissa>
std::uint8_t to_fp8(float value) {
  constexpr int kExponentBits = 7 - kMantissa;
  constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  constexpr std::uint8_t kLargest = kMantissa == 3 ? 0x7e : 0x7b;
  if (std::isnan(value)) return 0x7f;
  const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? 0x80 : 0);
  const float magnitude = std::fabs(value);
  const float largest = kMantissa == 3 ? 448.0F : 57344.0F;
  if (magnitude >= largest) return sign | kLargest;
  if (magnitude == 0) return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  exponent = std::max(exponent - 1, 1 - kBias);
  const float unit = std::ldexp(1.0F, exponent - kMantissa);
  const auto steps = static_cast<int>(std::nearbyint(magnitude / unit));  // in units of the last place, ties to even
  const int code = ((exponent + kBias - 1) << kMantissa) + steps;         // a carry moves into the exponent by itself
  return static_cast<std::uint8_t>(sign | std::min<int>(code, kLargest));
}

template <int kMantissa>
float from_fp8(std::uint8_t bits) {
  constexpr int kExponentBits = 7 - kMantissa;
  constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  const int exponent = (bits & 0x7f) >> kMantissa;
  const int mantissa = bits & ((1 << kMantissa) - 1);
  const float sign = (bits & 0x80) != 0 ? -1.0F : 1.0F;
  if (kMantissa == 3 && (bits & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  if (kMantissa == 2 && exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), 1 - kBias - kMantissa);
  return sign * std::ldexp(static_cast<float>(mantissa + (1 << kMantissa)), exponent - kBias - kMantissa);
}

}  // namespace ptx
