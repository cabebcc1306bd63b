#include "isa.hpp"

// Integer arithmetic, extended precision, logic and shift (PTX ISA 9.7.1, 9.7.2, 9.7.8).
namespace ptx {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

// Unsigned arithmetic wraps; u16 operands are promoted to int, hence the u32 detour.
template <class T>
using Wrap = std::conditional_t<sizeof(T) == 8, u64, u32>;
template <class T>
using Wide = std::conditional_t<sizeof(T) == 8, std::conditional_t<std::is_signed_v<T>, s128, u128>,
                                std::conditional_t<std::is_signed_v<T>, s64, u64>>;

#define PTX_OP(name, params, expression) \
  struct name {                          \
    template <class T>                   \
    auto operator() params const {       \
      return expression;                 \
    }                                    \
  };
PTX_OP(Add, (T a, T b), static_cast<T>(Wrap<T>(a) + Wrap<T>(b)))
PTX_OP(Sub, (T a, T b), static_cast<T>(Wrap<T>(a) - Wrap<T>(b)))
PTX_OP(MulLo, (T a, T b), static_cast<T>(Wrap<T>(a) * Wrap<T>(b)))
PTX_OP(MulHi, (T a, T b), static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> (8 * sizeof(T))))
PTX_OP(MulWide, (T a, T b), Wide<T>(a) * Wide<T>(b))
PTX_OP(Min, (T a, T b), b < a ? b : a)
PTX_OP(Max, (T a, T b), a < b ? b : a)
PTX_OP(Neg, (T a), static_cast<T>(Wrap<T>(0) - Wrap<T>(a)))
PTX_OP(Abs, (T a), static_cast<T>(a < 0 ? Wrap<T>(0) - Wrap<T>(a) : Wrap<T>(a)))
#undef PTX_OP

// Division by zero is unspecified; all ones is what the hardware's sequence gives.
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return static_cast<T>(~T{0});
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return Neg{}(a);
    }
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};

struct MadLo {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(MulLo{}(a, b), c);
  }
};
struct MadHi {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(MulHi{}(a, b), c);
  }
};
struct MadWide {
  template <class T, class W>
  W operator()(T a, T b, W c) const {
    return Add{}(static_cast<W>(MulWide{}(a, b)), c);
  }
};
struct Sad {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(c, a < b ? Sub{}(b, a) : Sub{}(a, b));
  }
};

// add.cc, addc, sub.cc, subc, mad.cc, madc (PTX ISA 9.7.2): the carry is kept for each lane.
enum : u32 { kCarryOut = 1, kCarryIn = 2, kSubtract = 4, kMadLo = 8, kMadHi = 16 };
template <class T>
void carry(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    using W = std::conditional_t<sizeof(T) == 8, u128, u64>;
    const T a = lanes<T>(warp, op.arg[1])[lane];
    const T b = lanes<T>(warp, op.arg[2])[lane];
    T x = a, y = b;
    if ((op.mode & (kMadLo | kMadHi)) != 0) {
      const W product = W{a} * b;
      x = static_cast<T>((op.mode & kMadHi) != 0 ? product >> (8 * sizeof(T)) : product);
      y = lanes<T>(warp, op.arg[3])[lane];
    }
    u32& flag = warp.carry[static_cast<std::size_t>(lane)];
    const W in = (op.mode & kCarryIn) != 0 ? flag : 0;
    const W sum = (op.mode & kSubtract) != 0 ? W{x} - y - in : W{x} + y + in;
    if ((op.mode & kCarryOut) != 0) flag = static_cast<u32>(sum >> (8 * sizeof(T))) & 1U;
    lanes<T>(warp, op.arg[0])[lane] = static_cast<T>(sum);
  });
}

template <class T>
void dot4(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const u32 a = lanes<u32>(warp, op.arg[1])[lane];
    const u32 b = lanes<u32>(warp, op.arg[2])[lane];
    T sum = lanes<T>(warp, op.arg[3])[lane];
    using E = std::conditional_t<std::is_signed_v<T>, std::int8_t, std::uint8_t>;
    for (int i = 0; i < 4; ++i) sum += T{static_cast<E>(a >> (8 * i))} * T{static_cast<E>(b >> (8 * i))};
    lanes<T>(warp, op.arg[0])[lane] = sum;
  });
}

// The three widths of an instruction whose sign does not matter.
#define PTX_ALL(name, operation)                                                                                \
  {name ".{u16,s16,b16}", binary<u16, u16, operation>}, {name ".{u32,s32,b32}", binary<u32, u32, operation>}, { \
    name ".{u64,s64,b64}", binary<u64, u64, operation>                                                          \
  }
#define PTX_SIGNED(name, operation)                                                           \
  {name ".u16", binary<u16, u16, operation>}, {name ".s16", binary<s16, s16, operation>},     \
      {name ".u32", binary<u32, u32, operation>}, {name ".s32", binary<s32, s32, operation>}, \
      {name ".u64", binary<u64, u64, operation>}, {                                           \
    name ".s64", binary<s64, s64, operation>                                                  \
  }
#define PTX_WIDTHS(name, operation)                                                                   \
  {name ".{b16,s16}", unary<s16, s16, operation>}, {name ".{b32,s32}", unary<s32, s32, operation>}, { \
    name ".{b64,s64}", unary<s64, s64, operation>                                                     \
  }

}  // namespace

void add_integer(Table& table) {
  table.add({
      PTX_ALL("add", Add),
      PTX_ALL("sub", Sub),
      PTX_ALL("mul.lo", MulLo),
      PTX_SIGNED("mul.hi", MulHi),
      PTX_SIGNED("min", Min),
      PTX_SIGNED("max", Max),
      PTX_SIGNED("div", Div),
      PTX_SIGNED("rem", Rem),
      PTX_WIDTHS("neg", Neg),
      PTX_WIDTHS("abs", Abs),
      {"mul.wide.u16", binary<u32, u16, MulWide>},
      {"mul.wide.s16", binary<s32, s16, MulWide>},
      {"mul.wide.u32", binary<u64, u32, MulWide>},
      {"mul.wide.s32", binary<s64, s32, MulWide>},
      {"mad.lo.{u16,s16}", ternary<u16, u16, u16, MadLo>},
      {"mad.lo.{u32,s32}", ternary<u32, u32, u32, MadLo>},
      {"mad.lo.{u64,s64}", ternary<u64, u64, u64, MadLo>},
      {"mad.hi.u32", ternary<u32, u32, u32, MadHi>},
      {"mad.hi.s32", ternary<s32, s32, s32, MadHi>},
      {"mad.wide.u16", ternary<u32, u16, u32, MadWide>},
      {"mad.wide.s16", ternary<s32, s16, s32, MadWide>},
      {"mad.wide.u32", ternary<u64, u32, u64, MadWide>},
      {"mad.wide.s32", ternary<s64, s32, s64, MadWide>},
      {"sad.u32", ternary<u32, u32, u32, Sad>},
      {"sad.s32", ternary<s32, s32, s32, Sad>},
      {"dp4a.u32.u32", dot4<u32>},
      {"dp4a.s32.s32", dot4<s32>},
  });
  table.add({
      {"add.cc.{u32,s32}", carry<u32>, Class::kInteger, Flow::kStraight, -1, kCarryOut},
      {"addc.{u32,s32}", carry<u32>, Class::kInteger, Flow::kStraight, -1, kCarryIn},
      {"addc.cc.{u32,s32}", carry<u32>, Class::kInteger, Flow::kStraight, -1, kCarryIn | kCarryOut},
      {"sub.cc.{u32,s32}", carry<u32>, Class::kInteger, Flow::kStraight, -1, kSubtract | kCarryOut},
      {"subc.{u32,s32}", carry<u32>, Class::kInteger, Flow::kStraight, -1, kSubtract | kCarryIn},
      {"subc.cc.{u32,s32}", carry<u32>, Class::kInteger, Flow::kStraight, -1, kSubtract | kCarryIn | kCarryOut},
      {"mad.lo.cc.u32", carry<u32>, Class::kInteger, Flow::kStraight, -1, kMadLo | kCarryOut},
      {"mad.hi.cc.u32", carry<u32>, Class::kInteger, Flow::kStraight, -1, kMadHi | kCarryOut},
      {"madc.lo.u32", carry<u32>, Class::kInteger, Flow::kStraight, -1, kMadLo | kCarryIn},
      {"madc.hi.u32", carry<u32>, Class::kInteger, Flow::kStraight, -1, kMadHi | kCarryIn},
      {"madc.lo.cc.u32", carry<u32>, Class::kInteger, Flow::kStraight, -1, kMadLo | kCarryIn | kCarryOut},
      {"madc.hi.cc.u32", carry<u32>, Class::kInteger, Flow::kStraight, -1, kMadHi | kCarryIn | kCarryOut},
  });
}

}  // namespace ptx
