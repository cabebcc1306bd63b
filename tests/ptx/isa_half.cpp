#include <cmath>

#include "isa.hpp"
#include "numbers.hpp"

// f16, f16x2, bf16, bf16x2 (PTX ISA 9.7.4): each operation is rounded once.
namespace ptx {
namespace {

struct Add {
  double operator()(double a, double b) const { return a + b; }
};
struct Sub {
  double operator()(double a, double b) const { return a - b; }
};
struct Mul {
  double operator()(double a, double b) const { return a * b; }
};
// Products of 11-bit significands are exact in double; the sum is rounded to 53 bits and then to odd.
struct Fma {
  double operator()(double a, double b, double c) const { return std::fma(a, b, c); }
};
struct FmaRelu {
  double operator()(double a, double b, double c) const {
    const double value = std::fma(a, b, c);
    return value > 0 || std::isnan(value) ? value : 0;
  }
};
struct Ex2 {
  double operator()(double a) const { return std::exp2(a); }
};
struct Tanh {
  double operator()(double a) const { return std::tanh(a); }
};
template <bool kMax, bool kNan>
struct Extreme {
  double operator()(double a, double b) const {
    if (std::isnan(a) || std::isnan(b)) return kNan || (std::isnan(a) && std::isnan(b)) ? NAN : (std::isnan(a) ? b : a);
    if (a == b) return std::signbit(a) == kMax ? b : a;
    return (a < b) == kMax ? b : a;
  }
};

template <class T>
double widen(std::uint16_t bits) {
  return static_cast<double>(to_float(T{bits}));
}

// `Register` is u16 for one value, u32 for a pair.
template <class T, class Register, class F, int kInputs>
void arithmetic(Warp& warp, const Op& op, Mask mask) {
  constexpr int kParts = sizeof(Register) / 2;
  each(mask, [&](int lane) {
    Register out = 0;
    for (int part = 0; part < kParts; ++part) {
      std::array<double, 3> in{};
      for (int i = 0; i < kInputs; ++i) {
        const Register bits = lanes<Register>(warp, op.arg[1 + i])[lane];
        in[static_cast<std::size_t>(i)] = widen<T>(static_cast<std::uint16_t>(bits >> (16 * part)));
      }
      double value = 0;
      if constexpr (kInputs == 1) value = F{}(in[0]);
      if constexpr (kInputs == 2) value = F{}(in[0], in[1]);
      if constexpr (kInputs == 3) value = F{}(in[0], in[1], in[2]);
      out = static_cast<Register>(out | static_cast<Register>(Register{from_double<T>(value).bits} << (16 * part)));
    }
    lanes<Register>(warp, op.arg[0])[lane] = out;
  });
}

// neg and abs change the sign bit only.
template <class Register, bool kNegate>
void sign(Warp& warp, const Op& op, Mask mask) {
  constexpr auto kSigns = static_cast<Register>(0x80008000U);
  each(mask, [&](int lane) {
    const Register a = lanes<Register>(warp, op.arg[1])[lane];
    lanes<Register>(warp, op.arg[0])[lane] = static_cast<Register>(kNegate ? a ^ kSigns : a & ~kSigns);
  });
}

constexpr Class kH = Class::kHalf;

#define PTX_BOTH(before, after, F, inputs)                                      \
  {before ".f16" after, arithmetic<Half, std::uint16_t, F, inputs>, kH},        \
      {before ".f16x2" after, arithmetic<Half, std::uint32_t, F, inputs>, kH},  \
      {before ".bf16" after, arithmetic<Bf16, std::uint16_t, F, inputs>, kH}, { \
    before ".bf16x2" after, arithmetic<Bf16, std::uint32_t, F, inputs>, kH      \
  }

using Min = Extreme<false, false>;
using Max = Extreme<true, false>;
using MinNan = Extreme<false, true>;
using MaxNan = Extreme<true, true>;

}  // namespace

void add_half(Table& table) {
  table.add({
      PTX_BOTH("add[.rn][.ftz]", "", Add, 2),
      PTX_BOTH("sub[.rn][.ftz]", "", Sub, 2),
      PTX_BOTH("mul[.rn][.ftz]", "", Mul, 2),
      PTX_BOTH("fma.rn[.ftz]", "", Fma, 3),
      PTX_BOTH("fma.rn[.ftz].relu", "", FmaRelu, 3),
      PTX_BOTH("min[.ftz]", "", Min, 2),
      PTX_BOTH("max[.ftz]", "", Max, 2),
      PTX_BOTH("min[.ftz].NaN", "", MinNan, 2),
      PTX_BOTH("max[.ftz].NaN", "", MaxNan, 2),
      PTX_BOTH("ex2.approx[.ftz]", "", Ex2, 1),
      PTX_BOTH("tanh.approx", "", Tanh, 1),
      {"neg[.ftz].{f16,bf16}", sign<std::uint16_t, true>, kH},
      {"neg[.ftz].{f16x2,bf16x2}", sign<std::uint32_t, true>, kH},
      {"abs[.ftz].{f16,bf16}", sign<std::uint16_t, false>, kH},
      {"abs[.ftz].{f16x2,bf16x2}", sign<std::uint32_t, false>, kH},
  });
}

}  // namespace ptx
