#include <cmath>
#include <limits>

#include "isa.hpp"
#include "numbers.hpp"

// cvt (PTX ISA 9.7.9.21) and cvta.
namespace ptx {
namespace {

enum : std::uint32_t { kSat = 8, kRelu = 16 };  // beside the rounding in the low bits
enum Round : std::uint32_t { kRn, kRz, kRm, kRp };

double round_to_integer(double value, std::uint32_t mode) {
  switch (mode & 3U) {
    case kRn:
      return std::nearbyint(value);
    case kRz:
      return std::trunc(value);
    case kRm:
      return std::floor(value);
    default:
      return std::ceil(value);
  }
}

// Floating to integer clamps to the range; NaN gives 0 for up to 32 bits and 2^63 for 64 (PTX ISA 9.7.9.21).
template <class D>
D to_integer(double value) {
  if (std::isnan(value)) return sizeof(D) == 8 ? static_cast<D>(std::uint64_t{1} << 63) : D{0};
  constexpr auto kLow = static_cast<double>(std::numeric_limits<D>::min());
  const double high = std::ldexp(1.0, std::numeric_limits<D>::digits);
  if (value <= kLow) return std::numeric_limits<D>::min();
  if (value >= high) return std::numeric_limits<D>::max();
  return static_cast<D>(value);
}

float directed(double value, std::uint32_t mode) {
  auto near = static_cast<float>(value);
  const auto back = static_cast<double>(near);
  const bool away = (mode & 3U) == kRz ? std::fabs(back) > std::fabs(value)
                                       : ((mode & 3U) == kRm ? back > value : (mode & 3U) == kRp && back < value);
  if (!away) {
    return near;
  }
  const float toward = (mode & 3U) == kRz ? 0.0F : ((mode & 3U) == kRm ? -HUGE_VALF : HUGE_VALF);
  return std::nextafter(near, toward);
}

template <class T>
constexpr bool kFloating =
    std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, Half> || std::is_same_v<T, Bf16>;

template <class T>
double as_double(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, Bf16>) {
    return static_cast<double>(to_float(value));
  } else {
    return static_cast<double>(value);
  }
}

template <class D, class S>
D convert(S value, std::uint32_t mode) {
  if constexpr (!kFloating<S> && !kFloating<D>) {
    if ((mode & kSat) != 0) {
      const s128 wide = +value;
      return static_cast<D>(
          std::min<s128>(std::max<s128>(wide, std::numeric_limits<D>::min()), std::numeric_limits<D>::max()));
    }
    return static_cast<D>(value);
  } else if constexpr (!kFloating<D>) {
    return to_integer<D>(round_to_integer(as_double(value), mode));
  } else {
    double wide = as_double(value);
    if ((mode & 32U) != 0) wide = round_to_integer(wide, mode);  // .rni and its kin, between equal types
    if ((mode & kSat) != 0) wide = wide > 0 ? std::min(wide, 1.0) : 0.0;
    if ((mode & kRelu) != 0) wide = wide > 0 || std::isnan(wide) ? wide : 0.0;
    if constexpr (std::is_same_v<D, double>) {
      return wide;
    } else if constexpr (std::is_same_v<D, float>) {
      if constexpr (std::is_integral_v<S>) {
        if ((mode & 3U) == kRn) return static_cast<float>(value);  // 64-bit integers: no detour through double
      }
      return directed(wide, mode);
    } else if constexpr (std::is_same_v<D, Half>) {
      if ((mode & 3U) == kRz) return to_half(static_cast<float>(wide), Rounding::kZero);
      return from_double<Half>(wide);
    } else {
      if ((mode & 3U) == kRz) return to_bf16(static_cast<float>(wide), Rounding::kZero);
      return from_double<Bf16>(wide);
    }
  }
}

template <class D, class S>
void cvt(Warp& warp, const Op& op, Mask mask) {
  each(mask,
       [&](int lane) { extend<D>(warp, op.arg[0], lane, convert<D, S>(low<S>(warp, op.arg[1], lane), op.mode)); });
}

// The frequent ones, whose registers have just the width of the type.
template <class D, class S>
struct Plain {
  D operator()(S value) const { return static_cast<D>(value); }
};

template <class D>
Handler from(std::string_view type) {
  if (type == "u8") return cvt<D, std::uint8_t>;
  if (type == "s8") return cvt<D, std::int8_t>;
  if (type == "u16") return cvt<D, std::uint16_t>;
  if (type == "s16") return cvt<D, std::int16_t>;
  if (type == "u32") return cvt<D, std::uint32_t>;
  if (type == "s32") return cvt<D, std::int32_t>;
  if (type == "u64") return cvt<D, std::uint64_t>;
  if (type == "s64") return cvt<D, std::int64_t>;
  if (type == "f16") return cvt<D, Half>;
  if (type == "bf16") return cvt<D, Bf16>;
  if (type == "f32") return cvt<D, float>;
  if (type == "f64") return cvt<D, double>;
  return nullptr;
}

Handler pick(std::string_view to, std::string_view source) {
  if (to == "u8") return from<std::uint8_t>(source);
  if (to == "s8") return from<std::int8_t>(source);
  if (to == "u16") return from<std::uint16_t>(source);
  if (to == "s16") return from<std::int16_t>(source);
  if (to == "u32") return from<std::uint32_t>(source);
  if (to == "s32") return from<std::int32_t>(source);
  if (to == "u64") return from<std::uint64_t>(source);
  if (to == "s64") return from<std::int64_t>(source);
  if (to == "f16") return from<Half>(source);
  if (to == "bf16") return from<Bf16>(source);
  if (to == "f32") return from<float>(source);
  if (to == "f64") return from<double>(source);
  return nullptr;
}

// cvt.rn.bf16x2.f32 d, a, b: a goes to the upper half.
template <class T>
void pack(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const T high = convert<T, float>(lanes<float>(warp, op.arg[1])[lane], op.mode);
    const T low_half = convert<T, float>(lanes<float>(warp, op.arg[2])[lane], op.mode);
    lanes<std::uint32_t>(warp, op.arg[0])[lane] = std::uint32_t{high.bits} << 16 | low_half.bits;
  });
}

template <int kMantissa>
void pack_fp8(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    float high = lanes<float>(warp, op.arg[1])[lane];
    float below = lanes<float>(warp, op.arg[2])[lane];
    if ((op.mode & kRelu) != 0) {
      high = high > 0 || std::isnan(high) ? high : 0;
      below = below > 0 || std::isnan(below) ? below : 0;
    }
    lanes<std::uint16_t>(warp, op.arg[0])[lane] =
        static_cast<std::uint16_t>(to_fp8<kMantissa>(high) << 8 | to_fp8<kMantissa>(below));
  });
}

template <int kMantissa, class T>
void pack_fp8_from_half(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const std::uint32_t pair = lanes<std::uint32_t>(warp, op.arg[1])[lane];
    const float high = to_float(T{static_cast<std::uint16_t>(pair >> 16)});
    const float below = to_float(T{static_cast<std::uint16_t>(pair)});
    lanes<std::uint16_t>(warp, op.arg[0])[lane] =
        static_cast<std::uint16_t>(to_fp8<kMantissa>(high) << 8 | to_fp8<kMantissa>(below));
  });
}

template <int kMantissa>
void unpack_fp8(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const std::uint16_t pair = lanes<std::uint16_t>(warp, op.arg[1])[lane];
    const auto high = to_half(from_fp8<kMantissa>(static_cast<std::uint8_t>(pair >> 8)));
    const auto below = to_half(from_fp8<kMantissa>(static_cast<std::uint8_t>(pair)));
    lanes<std::uint32_t>(warp, op.arg[0])[lane] = std::uint32_t{high.bits} << 16 | below.bits;
  });
}

Handler pick_packed(std::string_view to, std::string_view source) {
  if (to == "bf16x2" && source == "f32") return pack<Bf16>;
  if (to == "f16x2" && source == "f32") return pack<Half>;
  if (to == "e4m3x2" && source == "f32") return pack_fp8<3>;
  if (to == "e5m2x2" && source == "f32") return pack_fp8<2>;
  if (to == "e4m3x2" && source == "f16x2") return pack_fp8_from_half<3, Half>;
  if (to == "e5m2x2" && source == "f16x2") return pack_fp8_from_half<2, Half>;
  if (to == "f16x2" && source == "e4m3x2") return unpack_fp8<3>;
  if (to == "f16x2" && source == "e5m2x2") return unpack_fp8<2>;
  return nullptr;
}

bool decode_cvt(Mods& mods, const Instruction&, Op& op) {
  op.kind = Class::kConvert;
  const std::string_view source = mods.take_last();
  const std::string_view to = mods.take_last();
  const std::string_view integer = mods.take_any({"rni", "rzi", "rmi", "rpi"});
  const std::string_view rounding = mods.take_any({"rn", "rz", "rm", "rp"});
  const char way = integer.empty() ? (rounding.empty() ? 'n' : rounding[1]) : integer[1];
  op.mode = way == 'z' ? kRz : (way == 'm' ? kRm : (way == 'p' ? kRp : kRn));
  if (!integer.empty()) op.mode |= 32;
  if (mods.take("sat")) op.mode |= kSat;
  if (mods.take("relu")) op.mode |= kRelu;
  mods.take("satfinite");
  mods.take("ftz");
  op.run = pick_packed(to, source);
  if (op.run == nullptr) op.run = pick(to, source);
  if (op.mode == kRn && op.arg[1].constant == 0) {
    if (to == "u64" && source == "u32" && op.arg[0].bytes == 8 && op.arg[1].bytes == 4) {
      op.run = unary<std::uint64_t, std::uint32_t, Plain<std::uint64_t, std::uint32_t>>;
    }
    if (to == "s64" && source == "s32" && op.arg[0].bytes == 8 && op.arg[1].bytes == 4) {
      op.run = unary<std::int64_t, std::int32_t, Plain<std::int64_t, std::int32_t>>;
    }
    if (to == "u32" && source == "u64" && op.arg[0].bytes == 4 && op.arg[1].bytes == 8) {
      op.run = unary<std::uint32_t, std::uint64_t, Plain<std::uint32_t, std::uint64_t>>;
    }
  }
  return op.run != nullptr;
}

template <std::uint64_t kWindow, bool kTo>
struct Window {
  std::uint64_t operator()(std::uint64_t a) const { return kTo ? a - kWindow : a + kWindow; }
};
template <std::uint64_t kWindow>
void in_window(Warp& warp, const Op& op, Mask mask) {
  Mask out = 0;
  each(mask, [&](int lane) {
    const std::uint64_t a = lanes<std::uint64_t>(warp, op.arg[1])[lane];
    const bool inside = kWindow != 0 ? a >> 60 == kWindow >> 60 : a >> 60 == 0;
    out |= inside ? Mask{1} << lane : 0;
  });
  set_predicate(warp, op.arg[0], mask, out);
}
using Identity = Window<0, true>;

}  // namespace

void add_convert(Table& table) {
  constexpr Class kC = Class::kConvert;
  using u64 = std::uint64_t;
  table.add({Family{"cvt", decode_cvt}});
  table.add({
      {"cvta[.to].{global,const,param}.u64", unary<u64, u64, Identity>, kC},
      {"cvta.shared[::cta].u64", unary<u64, u64, Window<kSharedWindow, false>>, kC},
      {"cvta.to.shared[::cta].u64", unary<u64, u64, Window<kSharedWindow, true>>, kC},
      {"cvta.local.u64", unary<u64, u64, Window<kLocalWindow, false>>, kC},
      {"cvta.to.local.u64", unary<u64, u64, Window<kLocalWindow, true>>, kC},
      {"isspacep.shared[::cta]", in_window<kSharedWindow>, kC},
      {"isspacep.local", in_window<kLocalWindow>, kC},
      {"isspacep.global", in_window<0>, kC},
  });
}

}  // namespace ptx
