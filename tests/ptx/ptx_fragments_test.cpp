#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "fragment_layouts.hpp"
#include "numbers.hpp"
#include "ptx_text.hpp"

// mma.sync against a plain product of matrices that are put into registers by CuTe's layouts.
namespace ptx::test {
namespace {

constexpr std::size_t kM = 16;
constexpr std::size_t kN = 8;

struct Format {
  std::string name;
  std::size_t bits;
  std::uint32_t (*encode)(float);
  float (*decode)(std::uint32_t);
};
const Format kBf16{"bf16", 16, [](float x) { return std::uint32_t{to_bf16(x).bits}; },
                   [](std::uint32_t b) { return to_float(Bf16{static_cast<std::uint16_t>(b)}); }};
const Format kF16{"f16", 16, [](float x) { return std::uint32_t{to_half(x).bits}; },
                  [](std::uint32_t b) { return to_float(Half{static_cast<std::uint16_t>(b)}); }};
const Format kE4m3{"e4m3", 8, [](float x) { return std::uint32_t{to_fp8<3>(x)}; },
                   [](std::uint32_t b) { return from_fp8<3>(static_cast<std::uint8_t>(b)); }};
const Format kE5m2{"e5m2", 8, [](float x) { return std::uint32_t{to_fp8<2>(x)}; },
                   [](std::uint32_t b) { return from_fp8<2>(static_cast<std::uint8_t>(b)); }};

struct Case {
  Fragments fragments;
  Format a, b;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "m16n8k" << c.fragments.k << " " << c.a.name << " " << c.b.name;
}

class Mma : public testing::TestWithParam<Case> {};

/// The registers of each thread; element `index` of the matrix comes from `matrix[index]`.
std::vector<std::vector<std::uint32_t>> pack(const Layout& layout, const Format& format,
                                             const std::vector<float>& matrix) {
  const std::size_t per = 32 / format.bits;
  std::vector<std::vector<std::uint32_t>> out(32, std::vector<std::uint32_t>(layout.values() / per));
  for (std::size_t t = 0; t < 32; ++t) {
    for (std::size_t v = 0; v < layout.values(); ++v) {
      out[t][v / per] |= format.encode(matrix[layout(t, v)]) << (format.bits * (v % per));
    }
  }
  return out;
}

std::string registers(std::string_view prefix, std::size_t first, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += fmt::format("{}{}{}", i == 0 ? "" : ", ", prefix, first + i);
  return "{" + out + "}";
}

TEST_P(Mma, AgreesWithCuteLayouts) {
  const auto& [fragments, a_format, b_format] = GetParam();
  const std::size_t k = fragments.k;
  std::mt19937 random(7);
  auto small = [&] { return static_cast<float>(static_cast<int>(random() % 17) - 8) / 4; };  // exact in every format
  std::vector<float> a(kM * k), b(kN * k);
  for (float& x : a) x = small();
  for (float& x : b) x = small();
  const auto a_registers = pack(fragments.a, a_format, a);
  const auto b_registers = pack(fragments.b, b_format, b);

  Inputs in(32);
  for (std::size_t t = 0; t < 32; ++t) {
    auto word = [&](const std::vector<std::uint32_t>& from, std::size_t i) {
      return i < from.size() ? std::uint64_t{from[i]} : 0;
    };
    in[t] = {word(a_registers[t], 0) | word(a_registers[t], 1) << 32,
             word(a_registers[t], 2) | word(a_registers[t], 3) << 32,
             word(b_registers[t], 0) | word(b_registers[t], 1) << 32};
  }
  std::vector<float> c(kM * kN);
  for (std::size_t v = 0; v < 4; ++v) {
    // c starts as 1, 2, 3, 4 in the four values of each thread.
    const std::string body = fmt::format(
        "mov.b64 {{r10, r11}}, d1; mov.b64 {{r12, r13}}, d2; mov.b64 {{r14, r15}}, d3;"
        "mov.f32 r4, 0f3F800000; mov.f32 r5, 0f40000000; mov.f32 r6, 0f40400000; mov.f32 r7, 0f40800000;"
        "mma.sync.aligned.m16n8k{}.row.col.f32.{}.{}.f32 {{r16, r17, r18, r19}}, {}, {}, {{r4, r5, r6, r7}};"
        "mov.b32 r9, r{};",
        k, a_format.name, b_format.name, registers("r", 10, a_registers[0].size()),
        registers("r", 14, b_registers[0].size()), 16 + v);
    const auto out = run_text(body, 'r', in);
    for (std::size_t t = 0; t < 32; ++t) {
      c[fragments.c(t, v)] = std::bit_cast<float>(static_cast<std::uint32_t>(out[t])) - static_cast<float>(v + 1);
    }
  }
  for (std::size_t i = 0; i < kM; ++i) {
    for (std::size_t j = 0; j < kN; ++j) {
      float expected = 0;
      for (std::size_t x = 0; x < k; ++x) expected += a[i + kM * x] * b[j + kN * x];
      EXPECT_EQ(c[i + kM * j], expected) << i << ", " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Mma,
                         testing::Values(Case{kM16N8K16, kBf16, kBf16}, Case{kM16N8K8, kBf16, kBf16},
                                         Case{kM16N8K16, kF16, kF16}, Case{kM16N8K8, kF16, kF16},
                                         Case{kM16N8K32, kE4m3, kE4m3}, Case{kM16N8K32, kE4m3, kE5m2},
                                         Case{kM16N8K32, kE5m2, kE4m3}));

// Every fp8 value there and back, and rounding between neighbours.
template <int kMantissa>
void check_fp8() {
  for (int bits = 0; bits < 256; ++bits) {
    const float value = from_fp8<kMantissa>(static_cast<std::uint8_t>(bits));
    if (std::isnan(value) || std::isinf(value)) continue;
    EXPECT_EQ(to_fp8<kMantissa>(value), bits);
    const float next = from_fp8<kMantissa>(static_cast<std::uint8_t>(bits + 1));
    if ((bits & 0x7f) == 0x7f || std::isnan(next) || std::isinf(next)) continue;
    const float middle = (value + next) / 2;
    EXPECT_EQ(to_fp8<kMantissa>(middle), (bits & 1) != 0 ? bits + 1 : bits) << "ties go to even";
    EXPECT_EQ(to_fp8<kMantissa>(std::nextafter(middle, next)), bits + 1);
    EXPECT_EQ(to_fp8<kMantissa>(std::nextafter(middle, value)), bits);
  }
}
TEST(Fp8, RoundTripsAndRoundsToNearestEven) {
  check_fp8<3>();
  check_fp8<2>();
}

}  // namespace
}  // namespace ptx::test
