#include "isa.hpp"

// Logic, shifts, bit fields, moves (PTX ISA 9.7.1.12 to 9.7.1.22, 9.7.8, 9.7.9.3).
namespace ptx {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

#define PTX_OP(name, params, expression) \
  struct name {                          \
    template <class T>                   \
    auto operator() params const {       \
      return expression;                 \
    }                                    \
  };
PTX_OP(And, (T a, T b), a& b)
PTX_OP(Or, (T a, T b), a | b)
PTX_OP(Xor, (T a, T b), a ^ b)
PTX_OP(Not, (T a), ~a)
PTX_OP(Cnot, (T a), static_cast<T>(a == 0 ? 1 : 0))
PTX_OP(Mov, (T a), a)
PTX_OP(Popc, (T a), std::popcount(a))
PTX_OP(Clz, (T a), std::countl_zero(a))
#undef PTX_OP

// Shift amounts above the width are clamped to it (PTX ISA 9.7.8.7).
struct Shl {
  template <class T>
  T operator()(T a, u32 b) const {
    return b >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << b);
  }
};
struct Shr {
  template <class T>
  T operator()(T a, u32 b) const {
    constexpr u32 kBits = 8 * sizeof(T);
    if (b >= kBits) return std::is_signed_v<T> ? static_cast<T>(a >> (kBits - 1)) : T{0};
    return static_cast<T>(a >> b);
  }
};

// shf: a is the low word, b the high word.
template <bool kLeft, bool kWrap>
struct Funnel {
  u32 operator()(u32 a, u32 b, u32 c) const {
    const u32 n = kWrap ? c & 31U : (c < 32 ? c : 32);
    const u64 both = u64{b} << 32 | a;
    return kLeft ? static_cast<u32>((both << n) >> 32) : static_cast<u32>(both >> n);
  }
};

template <class T>
struct BitField {
  T operator()(T a, u32 position, u32 length) const {
    constexpr u32 kBits = 8 * sizeof(T);
    position &= 0xff;
    length &= 0xff;
    if (length == 0) return 0;
    using U = std::make_unsigned_t<T>;
    // The field is filled above bit 31 (63) with the sign of its last bit that exists (PTX ISA 9.7.1.19).
    const u32 top = position + length - 1 < kBits - 1 ? position + length - 1 : kBits - 1;
    const bool sign = std::is_signed_v<T> && ((static_cast<U>(a) >> top) & 1U) != 0;
    U value = position >= kBits ? 0 : static_cast<U>(static_cast<U>(a) >> position);
    const u32 valid = position >= kBits ? 0 : (length < kBits - position ? length : kBits - position);
    if (valid < kBits) {
      const U mask = static_cast<U>((U{1} << valid) - 1);
      value = sign ? static_cast<U>(value | ~mask) : static_cast<U>(value & mask);
    }
    return static_cast<T>(value);
  }
};

template <class T>
void insert_field(Warp& warp, const Op& op, Mask mask) {
  constexpr u32 kBits = 8 * sizeof(T);
  each(mask, [&](int lane) {
    const T a = lanes<T>(warp, op.arg[1])[lane];
    const T b = lanes<T>(warp, op.arg[2])[lane];
    const u32 position = lanes<u32>(warp, op.arg[3])[lane] & 0xffU;
    const u32 length = lanes<u32>(warp, op.arg[4])[lane] & 0xffU;
    T field = length >= kBits ? ~T{0} : static_cast<T>((T{1} << length) - 1);
    field = position >= kBits ? T{0} : static_cast<T>(field << position);
    const T moved = position >= kBits ? T{0} : static_cast<T>(a << position);
    lanes<T>(warp, op.arg[0])[lane] = static_cast<T>((b & ~field) | (moved & field));
  });
}

struct Brev32 {
  u32 operator()(u32 a) const {
    u32 out = 0;
    for (int i = 0; i < 32; ++i) out |= (a >> i & 1U) << (31 - i);
    return out;
  }
};
struct Brev64 {
  u64 operator()(u64 a) const { return u64{Brev32{}(static_cast<u32>(a))} << 32 | Brev32{}(static_cast<u32>(a >> 32)); }
};

// bfind: the most significant bit that differs from the sign; .shiftamt counts from the top instead.
template <bool kShift>
struct Bfind {
  template <class T>
  u32 operator()(T a) const {
    using U = std::make_unsigned_t<T>;
    const U bits = std::is_signed_v<T> && a < 0 ? static_cast<U>(~static_cast<U>(a)) : static_cast<U>(a);
    if (bits == 0) return ~0U;
    const auto zeros = static_cast<u32>(std::countl_zero(bits));
    return kShift ? zeros : static_cast<u32>(8 * sizeof(T)) - 1 - zeros;
  }
};

struct Bmsk {
  u32 operator()(u32 position, u32 width) const {
    const u32 w = width < 32 ? width : 32;
    const u32 ones = w == 32 ? ~0U : (1U << w) - 1;
    return position >= 32 ? 0 : ones << position;
  }
};

struct Prmt {
  u32 operator()(u32 a, u32 b, u32 selector) const {
    const u64 bytes = u64{b} << 32 | a;
    u32 out = 0;
    for (u32 i = 0; i < 4; ++i) {
      const u32 nibble = selector >> (4 * i) & 15U;
      u32 byte = static_cast<u32>(bytes >> (8 * (nibble & 7U))) & 0xffU;
      if ((nibble & 8U) != 0) byte = (byte & 0x80U) != 0 ? 0xff : 0;
      out |= byte << (8 * i);
    }
    return out;
  }
};

void lop3(Warp& warp, const Op& op, Mask mask) {
  u32* d = lanes<u32>(warp, op.arg[0]);
  const u32* a = lanes<u32>(warp, op.arg[1]);
  const u32* b = lanes<u32>(warp, op.arg[2]);
  const u32* c = lanes<u32>(warp, op.arg[3]);
  const u32 truth = lanes<u32>(warp, op.arg[4])[0];
  std::array<u32, 8> row{};
  for (u32 i = 0; i < 8; ++i) row[i] = (truth >> i & 1U) != 0 ? ~0U : 0U;
  each(mask, [=](int i) {
    const u32 x = a[i], y = b[i], z = c[i];
    d[i] = (row[0] & ~x & ~y & ~z) | (row[1] & ~x & ~y & z) | (row[2] & ~x & y & ~z) | (row[3] & ~x & y & z) |
           (row[4] & x & ~y & ~z) | (row[5] & x & ~y & z) | (row[6] & x & y & ~z) | (row[7] & x & y & z);
  });
}

template <class F>
void predicate_logic(Warp& warp, const Op& op, Mask mask) {
  set_predicate(warp, op.arg[0], mask, F{}(predicate(warp, op.arg[1]), predicate(warp, op.arg[2])));
}
void predicate_not(Warp& warp, const Op& op, Mask mask) {
  set_predicate(warp, op.arg[0], mask, ~predicate(warp, op.arg[1]));
}
void predicate_move(Warp& warp, const Op& op, Mask mask) {
  set_predicate(warp, op.arg[0], mask, predicate(warp, op.arg[1]));
}

// mov with vectors: {lo, hi} <-> one register (PTX ISA 9.7.9.3), by bytes.
void move_vector(Warp& warp, const Op& op, Mask mask) {
  const u32 outputs = op.mode;
  each(mask, [&](int lane) {
    std::array<std::byte, 16> bytes{};
    std::size_t at = 0;
    for (u32 i = outputs; i < op.args; ++i) {
      const Operand& o = op.arg[i];
      const std::size_t size = o.constant != 0 ? op.size / (op.args - outputs) : o.bytes;
      std::memcpy(bytes.data() + at, warp.base[o.constant][3] + o.offset + static_cast<std::size_t>(lane) * o.bytes,
                  size);
      at += size;
    }
    at = 0;
    for (u32 i = 0; i < outputs; ++i) {
      const Operand& o = op.arg[i];
      const std::size_t size = o.sink ? op.size / outputs : o.bytes;
      if (!o.sink) {
        std::memcpy(warp.base[0][0] + o.offset + static_cast<std::size_t>(lane) * o.bytes, bytes.data() + at, size);
      }
      at += size;
    }
  });
}

bool decode_mov(Mods& mods, const Instruction& text, Op& op) {
  const std::string_view type = mods.take_last();
  op.size = static_cast<std::uint8_t>(type_bytes(type));
  auto vector = [](const Arg& arg) { return arg.kind == Arg::Kind::kVector; };
  if (vector(text.args[0]) || vector(text.args[1])) {
    op.mode = vector(text.args[0]) ? static_cast<u32>(text.args[0].parts.size()) : 1;
    op.run = move_vector;
    return true;
  }
  switch (op.size) {
    case 0:
      op.run = predicate_move;
      break;
    case 2:
      op.run = unary<u16, u16, Mov>;
      break;
    case 4:
      op.run = unary<u32, u32, Mov>;
      break;
    case 8:
      op.run = unary<u64, u64, Mov>;
      break;
    default:
      return false;
  }
  return true;
}

#define PTX_ALL(name, operation)                                                                                \
  {name ".{u16,s16,b16}", binary<u16, u16, operation>}, {name ".{u32,s32,b32}", binary<u32, u32, operation>}, { \
    name ".{u64,s64,b64}", binary<u64, u64, operation>                                                          \
  }
#define PTX_WIDTHS(name, operation)                                                                   \
  {name ".{b16,s16}", unary<s16, s16, operation>}, {name ".{b32,s32}", unary<s32, s32, operation>}, { \
    name ".{b64,s64}", unary<s64, s64, operation>                                                     \
  }

}  // namespace

void add_bits(Table& table) {
  table.add({
      PTX_ALL("and", And),
      PTX_ALL("or", Or),
      PTX_ALL("xor", Xor),
      PTX_WIDTHS("not", Not),
      PTX_WIDTHS("cnot", Cnot),
      {"shl.b16", binary<u16, u16, Shl, u32>},
      {"shl.b32", binary<u32, u32, Shl, u32>},
      {"shl.b64", binary<u64, u64, Shl, u32>},
      {"shr.{u16,b16}", binary<u16, u16, Shr, u32>},
      {"shr.s16", binary<s16, s16, Shr, u32>},
      {"shr.{u32,b32}", binary<u32, u32, Shr, u32>},
      {"shr.s32", binary<s32, s32, Shr, u32>},
      {"shr.{u64,b64}", binary<u64, u64, Shr, u32>},
      {"shr.s64", binary<s64, s64, Shr, u32>},
      {"shf.l.wrap.b32", ternary<u32, u32, u32, Funnel<true, true>>},
      {"shf.l.clamp.b32", ternary<u32, u32, u32, Funnel<true, false>>},
      {"shf.r.wrap.b32", ternary<u32, u32, u32, Funnel<false, true>>},
      {"shf.r.clamp.b32", ternary<u32, u32, u32, Funnel<false, false>>},
      {"popc.b32", unary<u32, u32, Popc>},
      {"popc.b64", unary<u32, u64, Popc>},
      {"clz.b32", unary<u32, u32, Clz>},
      {"clz.b64", unary<u32, u64, Clz>},
      {"brev.b32", unary<u32, u32, Brev32>},
      {"brev.b64", unary<u64, u64, Brev64>},
      {"bfind.u32", unary<u32, u32, Bfind<false>>},
      {"bfind.s32", unary<u32, s32, Bfind<false>>},
      {"bfind.u64", unary<u32, u64, Bfind<false>>},
      {"bfind.shiftamt.u32", unary<u32, u32, Bfind<true>>},
      {"bfind.shiftamt.s32", unary<u32, s32, Bfind<true>>},
      {"bfind.shiftamt.u64", unary<u32, u64, Bfind<true>>},
      {"bfe.u32", ternary<u32, u32, u32, BitField<u32>>},
      {"bfe.s32", ternary<s32, s32, u32, BitField<s32>, u32>},
      {"bfe.u64", ternary<u64, u64, u32, BitField<u64>, u32>},
      {"bfe.s64", ternary<s64, s64, u32, BitField<s64>, u32>},
      {"bfi.b32", insert_field<u32>},
      {"bfi.b64", insert_field<u64>},
      {"bmsk.clamp.b32", binary<u32, u32, Bmsk>},
      {"prmt.b32", ternary<u32, u32, u32, Prmt>},
      {"lop3.b32", lop3},
      {"and.pred", predicate_logic<And>},
      {"or.pred", predicate_logic<Or>},
      {"xor.pred", predicate_logic<Xor>},
      {"not.pred", predicate_not},
  });
  table.add({Family{"mov", decode_mov}});
}

}  // namespace ptx
