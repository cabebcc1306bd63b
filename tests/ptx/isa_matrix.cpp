#include <algorithm>

#include "elements.hpp"
#include "isa.hpp"

// mma.sync, ldmatrix, stmatrix (PTX ISA 9.7.14.5): the fragment layouts are those of its figures; the test compares
// them with CuTe's. Products are exact in fp32 and accumulated in fp32 in the order of k.
namespace ptx {
namespace {

using u32 = std::uint32_t;

constexpr std::size_t kM = 16;
constexpr std::size_t kN = 8;

// m16n8kK with a row-major, b column-major. A register of a holds kPerRegister neighbours in k; registers go through
// the two halves of m first, then through k. For b they go through k.
template <class A, class B, std::size_t kK>
void mma(Warp& warp, const Op& op, Mask) {
  constexpr u32 kPer = A::kPerRegister;
  constexpr u32 kStep = 4 * kPer;  // columns that the four lanes of a row hold in one register
  constexpr u32 kARegisters = 2 * kK / kStep;
  constexpr u32 kBRegisters = kK / kStep;
  float a[kM][kK];
  float b[kK][kN];
  float d[kM][kN];
  for (u32 r = 0; r < kARegisters; ++r) {
    const u32* bits = lanes<u32>(warp, op.arg[4 + r]);
    for (u32 lane = 0; lane < kLanes; ++lane) {
      for (u32 e = 0; e < kPer; ++e) {
        a[lane / 4 + 8 * (r % 2)][lane % 4 * kPer + e + kStep * (r / 2)] = A::value(bits[lane] >> (32 / kPer * e));
      }
    }
  }
  for (u32 r = 0; r < kBRegisters; ++r) {
    const u32* bits = lanes<u32>(warp, op.arg[4 + kARegisters + r]);
    for (u32 lane = 0; lane < kLanes; ++lane) {
      for (u32 e = 0; e < kPer; ++e)
        b[lane % 4 * kPer + e + kStep * r][lane / 4] = B::value(bits[lane] >> (32 / kPer * e));
    }
  }
  const Operand* c = op.arg + 4 + kARegisters + kBRegisters;
  for (u32 r = 0; r < 4; ++r) {
    const float* values = lanes<float>(warp, c[r]);
    for (u32 lane = 0; lane < kLanes; ++lane) d[lane / 4 + 8 * (r / 2)][lane % 4 * 2 + r % 2] = values[lane];
  }
  for (std::size_t i = 0; i < kM; ++i) {
    for (std::size_t k = 0; k < kK; ++k) {
      for (std::size_t j = 0; j < kN; ++j) d[i][j] += a[i][k] * b[k][j];
    }
  }
  for (u32 r = 0; r < 4; ++r) {
    auto* values = lanes<float>(warp, op.arg[r]);
    for (u32 lane = 0; lane < kLanes; ++lane) values[lane] = d[lane / 4 + 8 * (r / 2)][lane % 4 * 2 + r % 2];
  }
}

// Lanes 8i..8i+7 give the addresses of the rows of matrix i; lane l receives two neighbours of row l / 4 (.trans: of
// column l / 4).
template <bool kTranspose>
void ldmatrix(Warp& warp, const Op& op, Mask) {
  const u32 count = op.vector;
  std::array<std::array<std::uint16_t, 8>, 32> rows{};
  for (u32 i = 0; i < count; ++i) {
    Pointers pointers;
    touch(warp, op, 0xffU << (8 * i), count, op.displacement[0], Space::kShared, 16, Touch::kLoad, pointers);
    for (u32 row = 0; row < 8; ++row) std::memcpy(rows[8 * i + row].data(), pointers.at[8 * i + row], 16);
  }
  for (u32 i = 0; i < count; ++i) {
    u32* d = lanes<u32>(warp, op.arg[i]);
    for (u32 lane = 0; lane < kLanes; ++lane) {
      const u32 x = lane / 4;
      const u32 y = lane % 4 * 2;
      const u32 first = kTranspose ? rows[8 * i + y][x] : rows[8 * i + x][y];
      const u32 second = kTranspose ? rows[8 * i + y + 1][x] : rows[8 * i + x][y + 1];
      d[lane] = second << 16 | first;
    }
  }
}

template <bool kTranspose>
void stmatrix(Warp& warp, const Op& op, Mask) {
  const u32 count = op.vector;
  for (u32 i = 0; i < count; ++i) {
    Pointers pointers;
    touch(warp, op, 0xffU << (8 * i), 0, op.displacement[0], Space::kShared, 16, Touch::kStore, pointers);
    const u32* s = lanes<u32>(warp, op.arg[1 + i]);
    for (u32 lane = 0; lane < kLanes; ++lane) {
      for (u32 e = 0; e < 2; ++e) {
        const auto bits = static_cast<std::uint16_t>(s[lane] >> (16 * e));
        const u32 row = kTranspose ? lane % 4 * 2 + e : lane / 4;
        const u32 column = kTranspose ? lane / 4 : lane % 4 * 2 + e;
        std::memcpy(pointers.at[8 * i + row] + std::size_t{2} * column, &bits, 2);
      }
    }
  }
}

bool decode_matrix(Mods& mods, const Instruction& text, Op& op) {
  const std::string_view count = mods.take_any({"x1", "x2", "x4"});
  if (count.empty() || !mods.take("m8n8") || !mods.take("b16") || !mods.take("sync")) return false;
  mods.take("aligned");
  mods.take_any({"shared", "shared::cta"});
  const bool load = text.opcode.starts_with("ld");
  const bool transpose = mods.take("trans");
  op.vector = static_cast<std::uint8_t>(count[1] - '0');
  op.kind = Class::kShared;
  op.flow = Flow::kWarpSync;
  op.run = load ? (transpose ? ldmatrix<true> : ldmatrix<false>) : (transpose ? stmatrix<true> : stmatrix<false>);
  return true;
}

}  // namespace

void add_matrix(Table& table) {
  constexpr Class kX = Class::kMatrix;
  constexpr Flow kS = Flow::kWarpSync;
  table.add({Family{"ldmatrix", decode_matrix}, Family{"stmatrix", decode_matrix}});
  table.add({
      {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", mma<Bf16Element, Bf16Element, 16>, kX, kS},
      {"mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", mma<Bf16Element, Bf16Element, 8>, kX, kS},
      {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", mma<HalfElement, HalfElement, 16>, kX, kS},
      {"mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", mma<HalfElement, HalfElement, 8>, kX, kS},
      {"mma.sync.aligned.m16n8k32.row.col[.kind::f8f6f4].f32.e4m3.e4m3.f32", mma<Fp8Element<3>, Fp8Element<3>, 32>, kX,
       kS},
      {"mma.sync.aligned.m16n8k32.row.col[.kind::f8f6f4].f32.e4m3.e5m2.f32", mma<Fp8Element<3>, Fp8Element<2>, 32>, kX,
       kS},
      {"mma.sync.aligned.m16n8k32.row.col[.kind::f8f6f4].f32.e5m2.e4m3.f32", mma<Fp8Element<2>, Fp8Element<3>, 32>, kX,
       kS},
  });
}

}  // namespace ptx
