#include <cmath>

#include "isa.hpp"
#include "numbers.hpp"

// setp, set, selp, slct (PTX ISA 9.7.6).
namespace ptx {
namespace {

enum class Compare : std::uint32_t { kEq, kNe, kLt, kLe, kGt, kGe, kNum, kNan };
enum : std::uint32_t { kUnordered = 16, kAnd = 32, kOr = 64, kXor = 128, kFloatResult = 256 };

template <class T>
struct Stored {
  using type = T;
  static T widen(T value) { return value; }
};
template <>
struct Stored<Half> {
  using type = std::uint16_t;
  static float widen(std::uint16_t bits) { return to_float(Half{bits}); }
};
template <>
struct Stored<Bf16> {
  using type = std::uint16_t;
  static float widen(std::uint16_t bits) { return to_float(Bf16{bits}); }
};

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(value);
  return false;
}

template <class T, class F>
Mask gather(Warp& warp, const Op& op, std::uint32_t first, F compare) {
  const auto* a = lanes<typename Stored<T>::type>(warp, op.arg[first]);
  const auto* b = lanes<typename Stored<T>::type>(warp, op.arg[first + 1]);
  Mask out = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    out |= static_cast<Mask>(compare(Stored<T>::widen(a[lane]), Stored<T>::widen(b[lane]))) << lane;
  }
  return out;
}

template <class T>
Mask compare_all(Warp& warp, const Op& op, std::uint32_t first) {
  Mask out = 0;
  switch (static_cast<Compare>(op.mode & 15U)) {
    case Compare::kEq:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return a == b; });
      break;
    case Compare::kNe:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return a < b || a > b; });
      break;
    case Compare::kLt:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return a < b; });
      break;
    case Compare::kLe:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return a <= b; });
      break;
    case Compare::kGt:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return a > b; });
      break;
    case Compare::kGe:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return a >= b; });
      break;
    case Compare::kNum:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return !is_nan(a) && !is_nan(b); });
      break;
    case Compare::kNan:
      out = gather<T>(warp, op, first, [](auto a, auto b) { return is_nan(a) || is_nan(b); });
      break;
  }
  if ((op.mode & kUnordered) != 0) {
    out |= gather<T>(warp, op, first, [](auto a, auto b) { return is_nan(a) || is_nan(b); });
  }
  return out;
}

Mask combine(const Op& op, Mask value, Mask with) {
  if ((op.mode & kAnd) != 0) return value & with;
  if ((op.mode & kOr) != 0) return value | with;
  if ((op.mode & kXor) != 0) return value ^ with;
  return value;
}

// setp p[|q], a, b[, c]: op.vector is the number of outputs.
template <class T>
void setp(Warp& warp, const Op& op, Mask mask) {
  const std::uint32_t outputs = op.vector;
  const Mask result = compare_all<T>(warp, op, outputs);
  const bool combined = op.args > outputs + 2;
  const Mask with = combined ? predicate(warp, op.arg[outputs + 2]) : 0;
  set_predicate(warp, op.arg[0], mask, combine(op, result, with));
  if (outputs == 2) set_predicate(warp, op.arg[1], mask, combine(op, ~result, with));
}

template <class T>
void set(Warp& warp, const Op& op, Mask mask) {
  const Mask result = compare_all<T>(warp, op, 1);
  const std::uint32_t yes = (op.mode & kFloatResult) != 0 ? 0x3f800000U : ~0U;
  each(mask, [&](int lane) { lanes<std::uint32_t>(warp, op.arg[0])[lane] = (result >> lane & 1U) != 0 ? yes : 0; });
}

Handler pick(std::string_view type) {
  if (type == "b16" || type == "u16") return setp<std::uint16_t>;
  if (type == "s16") return setp<std::int16_t>;
  if (type == "b32" || type == "u32") return setp<std::uint32_t>;
  if (type == "s32") return setp<std::int32_t>;
  if (type == "b64" || type == "u64") return setp<std::uint64_t>;
  if (type == "s64") return setp<std::int64_t>;
  if (type == "f32") return setp<float>;
  if (type == "f64") return setp<double>;
  if (type == "f16") return setp<Half>;
  if (type == "bf16") return setp<Bf16>;
  return nullptr;
}

bool decode_compare(Mods& mods, Op& op) {
  struct Name {
    std::string_view name;
    Compare compare;
    std::uint32_t flags;
  };
  static constexpr std::array<Name, 18> kNames{{{"eq", Compare::kEq, 0},
                                                {"ne", Compare::kNe, 0},
                                                {"lt", Compare::kLt, 0},
                                                {"le", Compare::kLe, 0},
                                                {"gt", Compare::kGt, 0},
                                                {"ge", Compare::kGe, 0},
                                                {"lo", Compare::kLt, 0},
                                                {"ls", Compare::kLe, 0},
                                                {"hi", Compare::kGt, 0},
                                                {"hs", Compare::kGe, 0},
                                                {"equ", Compare::kEq, kUnordered},
                                                {"neu", Compare::kNe, kUnordered},
                                                {"ltu", Compare::kLt, kUnordered},
                                                {"leu", Compare::kLe, kUnordered},
                                                {"gtu", Compare::kGt, kUnordered},
                                                {"geu", Compare::kGe, kUnordered},
                                                {"num", Compare::kNum, 0},
                                                {"nan", Compare::kNan, 0}}};
  for (const Name& row : kNames) {
    if (!mods.take(row.name)) continue;
    op.mode = static_cast<std::uint32_t>(row.compare) | row.flags;
    if (mods.take("and")) op.mode |= kAnd;
    if (mods.take("or")) op.mode |= kOr;
    if (mods.take("xor")) op.mode |= kXor;
    mods.take("ftz");
    return true;
  }
  return false;
}

bool decode_setp(Mods& mods, const Instruction& text, Op& op) {
  op.run = pick(mods.take_last());
  const bool combined = text.opcode.find(".and.") != std::string::npos ||
                        text.opcode.find(".or.") != std::string::npos || text.opcode.find(".xor.") != std::string::npos;
  op.vector = static_cast<std::uint8_t>(text.args.size() - (combined ? 3 : 2));
  return decode_compare(mods, op) && op.run != nullptr;
}

bool decode_set(Mods& mods, const Instruction&, Op& op) {
  const std::string_view type = mods.take_last();
  if (type == "u32" || type == "b32") op.run = set<std::uint32_t>;
  if (type == "s32") op.run = set<std::int32_t>;
  if (type == "f32") op.run = set<float>;
  const std::string_view result = mods.take_last();
  if (op.run == nullptr || !decode_compare(mods, op)) return false;
  if (result == "f32") op.mode |= kFloatResult;
  return result == "f32" || result == "u32" || result == "s32";
}

template <class T>
void selp(Warp& warp, const Op& op, Mask mask) {
  T* d = lanes<T>(warp, op.arg[0]);
  const T* a = lanes<T>(warp, op.arg[1]);
  const T* b = lanes<T>(warp, op.arg[2]);
  const Mask choose = predicate(warp, op.arg[3]);
  each(mask, [=](int lane) { d[lane] = (choose >> lane & 1U) != 0 ? a[lane] : b[lane]; });
}

struct SelectBySign {
  template <class T, class C>
  T operator()(T a, T b, C c) const {
    return c >= 0 ? a : b;
  }
};

}  // namespace

void add_compare(Table& table) {
  using u32 = std::uint32_t;
  table.add({Family{"setp", decode_setp}, Family{"set", decode_set}});
  table.add({
      {"selp.{b16,u16,s16}", selp<std::uint16_t>},
      {"selp.{b32,u32,s32,f32}", selp<u32>},
      {"selp.{b64,u64,s64,f64}", selp<std::uint64_t>},
      {"slct.{b32,u32,s32,f32}.s32", ternary<u32, u32, std::int32_t, SelectBySign>},
      {"slct.{b32,u32,s32,f32}.f32", ternary<u32, u32, float, SelectBySign>},
  });
}

}  // namespace ptx
