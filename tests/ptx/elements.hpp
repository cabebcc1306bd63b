#pragma once

#include <array>
#include <cstdint>

#include "numbers.hpp"

// Element formats of matrix instructions: how many lie in a 32-bit register, and their value.
namespace ptx {

struct Bf16Element {
  static constexpr std::uint32_t kPerRegister = 2;
  static float value(std::uint32_t bits) { return to_float(Bf16{static_cast<std::uint16_t>(bits)}); }
};
struct HalfElement {
  static constexpr std::uint32_t kPerRegister = 2;
  static float value(std::uint32_t bits) { return to_float(Half{static_cast<std::uint16_t>(bits)}); }
};
template <int kMantissa>
struct Fp8Element {
  static constexpr std::uint32_t kPerRegister = 4;
  static float value(std::uint32_t bits) {
    static const std::array<float, 256> kValues = [] {
      std::array<float, 256> values{};
      for (std::uint32_t i = 0; i < 256; ++i) values[i] = from_fp8<kMantissa>(static_cast<std::uint8_t>(i));
      return values;
    }();
    return kValues[bits & 0xffU];
  }
};

}  // namespace ptx
