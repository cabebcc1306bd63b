#include <algorithm>

#include "isa.hpp"
#include "numbers.hpp"

// atom and red (PTX ISA 9.7.13.1, 9.7.13.2): one lane after the other, in the order of the schedule.
namespace ptx {
namespace {

enum class Do : std::uint32_t { kAdd, kMin, kMax, kAnd, kOr, kXor, kExch, kCas, kInc, kDec };

template <class T>
T combine(Do what, T old, T b, T c) {
  if constexpr (std::is_integral_v<T>) {
    switch (what) {
      case Do::kAdd:
        return static_cast<T>(static_cast<std::uint64_t>(old) + static_cast<std::uint64_t>(b));
      case Do::kMin:
        return std::min(old, b);
      case Do::kMax:
        return std::max(old, b);
      case Do::kAnd:
        return static_cast<T>(old & b);
      case Do::kOr:
        return static_cast<T>(old | b);
      case Do::kXor:
        return static_cast<T>(old ^ b);
      case Do::kExch:
        return b;
      case Do::kCas:
        return old == b ? c : old;
      case Do::kInc:
        return old >= b ? T{0} : static_cast<T>(old + 1);
      case Do::kDec:
        return old == 0 || old > b ? b : static_cast<T>(old - 1);
    }
  }
  return old;
}
template <>
float combine(Do what, float old, float b, float) {
  return what == Do::kAdd ? old + b : b;
}
template <>
double combine(Do what, double old, double b, double) {
  return what == Do::kAdd ? old + b : b;
}

// Two narrow values, each added atomically by itself.
template <class T>
struct Pair {
  std::uint32_t bits;
};
template <class T>
Pair<T> add_pair(Pair<T> a, Pair<T> b) {
  std::uint32_t out = 0;
  for (int part = 0; part < 2; ++part) {
    const T x{static_cast<std::uint16_t>(a.bits >> (16 * part))};
    const T y{static_cast<std::uint16_t>(b.bits >> (16 * part))};
    out |= std::uint32_t{from_float<T>(to_float(x) + to_float(y)).bits} << (16 * part);
  }
  return {out};
}
template <>
Pair<Half> combine(Do, Pair<Half> old, Pair<Half> b, Pair<Half>) {
  return add_pair<Half>(old, b);
}
template <>
Pair<Bf16> combine(Do, Pair<Bf16> old, Pair<Bf16> b, Pair<Bf16>) {
  return add_pair<Bf16>(old, b);
}
template <>
Half combine(Do, Half old, Half b, Half) {
  return from_float<Half>(to_float(old) + to_float(b));
}
template <>
Bf16 combine(Do, Bf16 old, Bf16 b, Bf16) {
  return from_float<Bf16>(to_float(old) + to_float(b));
}

// op.vector: 1 for atom (it has a result), 0 for red.
template <class T>
void atomic(Warp& warp, const Op& op, Mask mask) {
  Pointers pointers;
  const std::uint32_t outputs = op.vector;
  touch(warp, op, mask, outputs, op.displacement[0], op.space, sizeof(T), Touch::kAtomic, pointers);
  const auto what = static_cast<Do>(op.mode);
  each_in_order(warp, mask, [&](int lane) {
    std::byte* at = pointers.at[static_cast<std::size_t>(lane)];
    T old;
    std::memcpy(&old, at, sizeof(T));
    const T b = low<T>(warp, op.arg[outputs + 1], lane);
    const T c = op.args > outputs + 2 ? low<T>(warp, op.arg[outputs + 2], lane) : b;
    const T value = combine<T>(what, old, b, c);
    std::memcpy(at, &value, sizeof(T));
    if (outputs != 0 && !op.arg[0].sink) lanes<T>(warp, op.arg[0])[lane] = old;
  });
}

// red.global.add.vN.f32: each float atomically by itself.
template <std::uint32_t kCount>
void add_floats(Warp& warp, const Op& op, Mask mask) {
  Pointers pointers;
  touch(warp, op, mask, 0, op.displacement[0], op.space, kCount * sizeof(float), Touch::kAtomic, pointers);
  each_in_order(warp, mask, [&](int lane) {
    std::byte* at = pointers.at[static_cast<std::size_t>(lane)];
    for (std::uint32_t i = 0; i < kCount; ++i, at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, at, sizeof(float));
      value += low<float>(warp, op.arg[1 + i], lane);
      std::memcpy(at, &value, sizeof(float));
    }
  });
}

Handler pick(std::string_view type) {
  if (type == "u32" || type == "b32") return atomic<std::uint32_t>;
  if (type == "s32") return atomic<std::int32_t>;
  if (type == "u64" || type == "b64") return atomic<std::uint64_t>;
  if (type == "s64") return atomic<std::int64_t>;
  if (type == "b16") return atomic<std::uint16_t>;
  if (type == "f32") return atomic<float>;
  if (type == "f64") return atomic<double>;
  if (type == "f16") return atomic<Half>;
  if (type == "bf16") return atomic<Bf16>;
  if (type == "f16x2") return atomic<Pair<Half>>;
  if (type == "bf16x2") return atomic<Pair<Bf16>>;
  return nullptr;
}

bool decode(Mods& mods, Op& op, std::uint8_t outputs) {
  op.run = pick(mods.take_last());
  op.kind = Class::kAtomic;
  op.vector = outputs;
  const std::string_view space = mods.take_any({"global", "shared", "shared::cta"});
  if (space == "global") op.space = Space::kGlobal;
  if (space.starts_with("shared")) op.space = Space::kShared;
  mods.take_any({"relaxed", "acquire", "release", "acq_rel"});
  mods.take_any({"cta", "cluster", "gpu", "sys"});
  mods.take("noftz");
  const std::string_view vector = mods.take_any({"v2", "v4"});
  if (!vector.empty()) {
    if (outputs != 0 || op.space != Space::kGlobal || op.run != Handler{atomic<float>}) return false;
    op.run = vector == "v2" ? add_floats<2> : add_floats<4>;
    return mods.take("add");
  }
  static constexpr std::array<std::string_view, 10> kNames{"add", "min",  "max", "and", "or",
                                                           "xor", "exch", "cas", "inc", "dec"};
  for (std::uint32_t i = 0; i < kNames.size(); ++i) {
    if (!mods.take(kNames[i])) continue;
    op.mode = i;
    return op.run != nullptr;
  }
  return false;
}

bool decode_atom(Mods& mods, const Instruction&, Op& op) { return decode(mods, op, 1); }
bool decode_red(Mods& mods, const Instruction&, Op& op) { return decode(mods, op, 0); }

}  // namespace

void add_atomic(Table& table) { table.add({Family{"atom", decode_atom}, Family{"red", decode_red}}); }

}  // namespace ptx
