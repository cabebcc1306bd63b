#include <cfenv>
#include <cmath>

#include "isa.hpp"
#include "numbers.hpp"

// fp32 and fp64 arithmetic (PTX ISA 9.7.3). Subnormals are kept, also under .ftz; the approximations are the exact
// function rounded to fp32, which lies within their stated error.
namespace ptx {
namespace {

using f32 = float;
using f64 = double;

#define PTX_OP(name, params, expression) \
  struct name {                          \
    template <class T>                   \
    T operator() params const {          \
      return expression;                 \
    }                                    \
  };
PTX_OP(Add, (T a, T b), a + b)
PTX_OP(Sub, (T a, T b), a - b)
PTX_OP(Mul, (T a, T b), a* b)
PTX_OP(Div, (T a, T b), a / b)
PTX_OP(Fma, (T a, T b, T c), std::fma(a, b, c))
PTX_OP(Rcp, (T a), T{1} / a)
PTX_OP(Sqrt, (T a), std::sqrt(a))
PTX_OP(Rsqrt, (T a), static_cast<T>(1.0 / std::sqrt(static_cast<double>(a))))
PTX_OP(Sin, (T a), static_cast<T>(std::sin(static_cast<double>(a))))
PTX_OP(Cos, (T a), static_cast<T>(std::cos(static_cast<double>(a))))
PTX_OP(Lg2, (T a), static_cast<T>(std::log2(static_cast<double>(a))))
PTX_OP(Ex2, (T a), static_cast<T>(std::exp2(static_cast<double>(a))))
PTX_OP(Tanh, (T a), static_cast<T>(std::tanh(static_cast<double>(a))))
PTX_OP(Neg, (T a), -a)
PTX_OP(Abs, (T a), std::fabs(a))
PTX_OP(Mov, (T a), a)
PTX_OP(CopySign, (T a, T b), std::copysign(b, a))
PTX_OP(Saturate, (T a), a > T{0} ? (a < T{1} ? a : T{1}) : T{0})
#undef PTX_OP

// min and max: a NaN loses against a number, unless .NaN; -0 < +0 (PTX ISA 9.7.3.11).
template <bool kMax, bool kNan>
struct Extreme {
  template <class T>
  T operator()(T a, T b) const {
    if (std::isnan(a) || std::isnan(b)) {
      if (kNan) return std::numeric_limits<T>::quiet_NaN();
      return std::isnan(a) ? b : a;
    }
    if (a == b) return std::signbit(a) == kMax ? b : a;
    return (a < b) == kMax ? b : a;
  }
};
template <class F>
struct Saturated {
  template <class... T>
  auto operator()(T... values) const {
    return Saturate{}(F{}(values...));
  }
};

// Directed rounding through the floating-point environment. The operands go through volatile so that nothing moves out.
template <int kMode, class F>
struct Directed {
  template <class T, class... Rest>
  __attribute__((noinline)) T operator()(T a, Rest... rest) const {
    const int before = std::fegetround();
    std::fesetround(kMode);
    volatile T first = a;
    volatile T result = F{}(static_cast<T>(first), rest...);
    std::fesetround(before);
    return result;
  }
};

constexpr Class kF = Class::kFloat;

template <class F>
constexpr Handler kTwo32 = binary<f32, f32, F>;
template <class F>
constexpr Handler kThree32 = ternary<f32, f32, f32, F>;
template <class F>
constexpr Handler kTwo64 = binary<f64, f64, F>;
template <class F>
constexpr Handler kThree64 = ternary<f64, f64, f64, F>;

enum : std::uint32_t { kFinite, kInfinite, kNumber, kNotANumber, kNormal, kSubnormal };
template <class T>
void testp(Warp& warp, const Op& op, Mask mask) {
  Mask out = 0;
  each(mask, [&](int lane) {
    const T a = lanes<T>(warp, op.arg[1])[lane];
    const int kind = std::fpclassify(a);
    const std::array<bool, 6> is{std::isfinite(a), kind == FP_INFINITE, kind != FP_NAN,
                                 kind == FP_NAN,   kind == FP_NORMAL,   kind == FP_SUBNORMAL};
    out |= is[op.mode] ? Mask{1} << lane : 0;
  });
  set_predicate(warp, op.arg[0], mask, out);
}

// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are parts of a pattern
#define PTX_TESTP(name, mode)                                          \
  {"testp." name ".f32", testp<f32>, kF, Flow::kStraight, -1, mode}, { \
    "testp." name ".f64", testp<f64>, kF, Flow::kStraight, -1, mode    \
  }
#define PTX_DIRECTED(name, mode, F, kHandlers)                      \
  {name ".rz" mode, kHandlers<Directed<FE_TOWARDZERO, F>>, kF},     \
      {name ".rm" mode, kHandlers<Directed<FE_DOWNWARD, F>>, kF}, { \
    name ".rp" mode, kHandlers<Directed<FE_UPWARD, F>>, kF          \
  }
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace

void add_float(Table& table) {
  table.add({
      {"add[.rn][.ftz].f32", kTwo32<Add>, kF},
      {"sub[.rn][.ftz].f32", kTwo32<Sub>, kF},
      {"mul[.rn][.ftz].f32", kTwo32<Mul>, kF},
      {"add[.rn][.ftz].sat.f32", kTwo32<Saturated<Add>>, kF},
      {"mul[.rn][.ftz].sat.f32", kTwo32<Saturated<Mul>>, kF},
      {"fma.rn[.ftz].f32", kThree32<Fma>, kF},
      {"fma.rn[.ftz].sat.f32", kThree32<Saturated<Fma>>, kF},
      {"div{.rn,.approx,.full}[.ftz].f32", kTwo32<Div>, kF},
      {"rcp{.rn,.approx}[.ftz].f32", unary<f32, f32, Rcp>, kF},
      {"sqrt{.rn,.approx}[.ftz].f32", unary<f32, f32, Sqrt>, kF},
      {"rsqrt.approx[.ftz].f32", unary<f32, f32, Rsqrt>, kF},
      {"sin.approx[.ftz].f32", unary<f32, f32, Sin>, kF},
      {"cos.approx[.ftz].f32", unary<f32, f32, Cos>, kF},
      {"lg2.approx[.ftz].f32", unary<f32, f32, Lg2>, kF},
      {"ex2.approx[.ftz].f32", unary<f32, f32, Ex2>, kF},
      {"tanh.approx.f32", unary<f32, f32, Tanh>, kF},
      {"neg[.ftz].f32", unary<f32, f32, Neg>, kF},
      {"abs[.ftz].f32", unary<f32, f32, Abs>, kF},
      {"min[.ftz].f32", kTwo32<Extreme<false, false>>, kF},
      {"max[.ftz].f32", kTwo32<Extreme<true, false>>, kF},
      {"min[.ftz].NaN.f32", kTwo32<Extreme<false, true>>, kF},
      {"max[.ftz].NaN.f32", kTwo32<Extreme<true, true>>, kF},
      {"copysign.f32", kTwo32<CopySign>, kF},
      PTX_DIRECTED("add", "[.ftz].f32", Add, kTwo32),
      PTX_DIRECTED("sub", "[.ftz].f32", Sub, kTwo32),
      PTX_DIRECTED("mul", "[.ftz].f32", Mul, kTwo32),
      PTX_DIRECTED("div", "[.ftz].f32", Div, kTwo32),
      PTX_DIRECTED("fma", "[.ftz].f32", Fma, kThree32),
  });
  table.add({
      {"add[.rn].f64", kTwo64<Add>, kF},
      {"sub[.rn].f64", kTwo64<Sub>, kF},
      {"mul[.rn].f64", kTwo64<Mul>, kF},
      {"div.rn.f64", kTwo64<Div>, kF},
      {"fma.rn.f64", kThree64<Fma>, kF},
      {"rcp.rn.f64", unary<f64, f64, Rcp>, kF},
      {"rcp.approx.ftz.f64", unary<f64, f64, Rcp>, kF},
      {"sqrt.rn.f64", unary<f64, f64, Sqrt>, kF},
      {"rsqrt.approx[.ftz].f64", unary<f64, f64, Rsqrt>, kF},
      {"neg.f64", unary<f64, f64, Neg>, kF},
      {"abs.f64", unary<f64, f64, Abs>, kF},
      {"min.f64", kTwo64<Extreme<false, false>>, kF},
      {"max.f64", kTwo64<Extreme<true, false>>, kF},
      {"copysign.f64", kTwo64<CopySign>, kF},
      PTX_DIRECTED("fma", ".f64", Fma, kThree64),
      PTX_TESTP("finite", kFinite),
      PTX_TESTP("infinite", kInfinite),
      PTX_TESTP("number", kNumber),
      PTX_TESTP("notanumber", kNotANumber),
      PTX_TESTP("normal", kNormal),
      PTX_TESTP("subnormal", kSubnormal),
  });
}

}  // namespace ptx
