#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "error.hpp"
#include "ptx_text.hpp"

// One row for each instruction or family: the expected bits follow from the PTX ISA, not from the executor.
namespace ptx::test {
namespace {

std::uint64_t f(float value) { return std::bit_cast<std::uint32_t>(value); }
std::uint64_t g(double value) { return std::bit_cast<std::uint64_t>(value); }
std::uint64_t s(std::int64_t value) { return static_cast<std::uint64_t>(value); }
const float kNan = std::nanf("");
const float kInf = HUGE_VALF;

struct Row {
  std::string text;
  std::array<std::uint64_t, 3> in;
  std::uint64_t expected;
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.text; }

class Instruction : public testing::TestWithParam<Row> {};

// Once with a full warp, once with a part of one: the two take different paths.
TEST_P(Instruction, GivesTheBitsOfTheManual) {
  const Row& row = GetParam();
  const char result = row.text[row.text.find('9') - 1];
  for (const std::size_t threads : {32U, 5U}) {
    const auto out = run_text(row.text, result, Inputs(threads, row.in));
    for (const std::uint64_t value : out) ASSERT_EQ(value, row.expected) << row.text << std::hex << " gave " << value;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Integer, Instruction,
    testing::Values(
        Row{"add.s32 r9, r1, r2;", {0xffffffff, 2, 0}, 1}, Row{"add.u16 h9, h1, h2;", {0xffff, 3, 0}, 2},
        Row{"add.s64 d9, d1, d2;", {~0ULL, 2, 0}, 1}, Row{"sub.u32 r9, r1, r2;", {1, 2, 0}, 0xffffffff},
        Row{"mul.lo.s32 r9, r1, r2;", {0x10001, 0x10001, 0}, 0x20001},
        Row{"mul.lo.s16 h9, h1, h2;", {300, 300, 0}, 90000 & 0xffff},
        Row{"mul.hi.u32 r9, r1, r2;", {0xffffffff, 0xffffffff, 0}, 0xfffffffe},
        Row{"mul.hi.s32 r9, r1, r2;", {0xffffffff, 0xffffffff, 0}, 0},
        Row{"mul.hi.u64 d9, d1, d2;", {~0ULL, ~0ULL, 0}, ~0ULL - 1},
        Row{"mul.wide.s32 d9, r1, r2;", {s(-3), 5, 0}, s(-15)},
        Row{"mul.wide.u32 d9, r1, r2;", {0xffffffff, 2, 0}, 0x1fffffffe},
        Row{"mul.wide.u16 r9, h1, h2;", {0xffff, 2, 0}, 0x1fffe}, Row{"mad.lo.s32 r9, r1, r2, r3;", {7, 6, 5}, 47},
        Row{"mad.wide.s32 d9, r1, r2, d3;", {s(-3), 5, 20}, 5},
        Row{"mad.hi.u32 r9, r1, r2, r3;", {0x80000000, 4, 1}, 3},
        Row{"mad.lo.s64 d9, d1, d2, d3;", {1ULL << 40, 3, 1}, (3ULL << 40) + 1},
        Row{"sad.s32 r9, r1, r2, r3;", {s(-5), 4, 10}, 19}, Row{"div.s32 r9, r1, r2;", {s(-7), 2, 0}, 0xfffffffd},
        Row{"div.u64 d9, d1, d2;", {1ULL << 50, 3, 0}, (1ULL << 50) / 3},
        Row{"rem.s32 r9, r1, r2;", {s(-7), 2, 0}, 0xffffffff}, Row{"rem.u32 r9, r1, r2;", {17, 5, 0}, 2},
        Row{"abs.s32 r9, r1;", {s(-7), 0, 0}, 7}, Row{"neg.s32 r9, r1;", {7, 0, 0}, 0xfffffff9},
        Row{"min.s32 r9, r1, r2;", {s(-7), 3, 0}, 0xfffffff9}, Row{"max.u32 r9, r1, r2;", {s(-7), 3, 0}, 0xfffffff9},
        Row{"min.u64 d9, d1, d2;", {5, 3, 0}, 3}, Row{"max.s16 h9, h1, h2;", {0xffff, 3, 0}, 3},
        Row{"popc.b32 r9, r1;", {0xf0f0, 0, 0}, 8}, Row{"popc.b64 r9, d1;", {~0ULL, 0, 0}, 64},
        Row{"clz.b32 r9, r1;", {1, 0, 0}, 31}, Row{"clz.b64 r9, d1;", {0, 0, 0}, 64},
        Row{"brev.b32 r9, r1;", {1, 0, 0}, 0x80000000}, Row{"bfind.u32 r9, r1;", {0x1000, 0, 0}, 12},
        Row{"bfind.s32 r9, r1;", {s(-1), 0, 0}, 0xffffffff}, Row{"bfind.shiftamt.u32 r9, r1;", {0x1000, 0, 0}, 19},
        Row{"bfe.u32 r9, r1, 4, 8;", {0xabcd, 0, 0}, 0xbc}, Row{"bfe.s32 r9, r1, 4, 8;", {0xabcd, 0, 0}, 0xffffffbc},
        Row{"bfe.s32 r9, r1, 28, 8;", {0x80000000, 0, 0}, 0xfffffff8},
        Row{"bfe.u64 d9, d1, 36, 8;", {0xabcULL << 36, 0, 0}, 0xbc},
        Row{"bfi.b32 r9, r1, r2, 8, 4;", {0xa, 0xffffffff, 0}, 0xfffffaff},
        Row{"bmsk.clamp.b32 r9, r1, r2;", {4, 8, 0}, 0xff0},
        Row{"prmt.b32 r9, r1, r2, 0x7610;", {0x33221100, 0x77665544, 0}, 0x77661100},
        Row{"prmt.b32 r9, r1, r2, 0x9810;", {0x33228100, 0x77665544, 0}, 0xff008100},
        Row{"lop3.b32 r9, r1, r2, r3, 0xe8;", {0xcc, 0xaa, 0xf0}, 0xe8},
        Row{"shf.l.wrap.b32 r9, r1, r2, r3;", {0x80000000, 1, 33}, 3},
        Row{"shf.r.clamp.b32 r9, r1, r2, r3;", {5, 7, 40}, 7}, Row{"shl.b32 r9, r1, r2;", {1, 40, 0}, 0},
        Row{"shr.s32 r9, r1, r2;", {s(-8), 40, 0}, 0xffffffff}, Row{"shr.u32 r9, r1, r2;", {0x80, 4, 0}, 8},
        Row{"shl.b64 d9, d1, r2;", {1, 40, 0}, 1ULL << 40}, Row{"and.b32 r9, r1, r2;", {12, 10, 0}, 8},
        Row{"or.b64 d9, d1, d2;", {12, 10, 0}, 14}, Row{"xor.b16 h9, h1, h2;", {12, 10, 0}, 6},
        Row{"not.b32 r9, r1;", {0, 0, 0}, 0xffffffff},
        Row{"dp4a.s32.s32 r9, r1, r2, r3;", {0xff020304, 0x01010101, 10}, 18},
        Row{"add.cc.u32 r8, r1, r2; addc.u32 r9, r3, 0;", {0xffffffff, 1, 5}, 6},
        Row{"sub.cc.u32 r8, r1, r2; subc.u32 r9, r3, 0;", {0, 1, 5}, 4},
        Row{"mad.lo.cc.u32 r8, r1, r2, r1; madc.hi.u32 r9, r1, r2, r3;", {0xffffffff, 2, 1}, 3},
        Row{"mov.b64 d9, {r1, r2};", {5, 7, 0}, (7ULL << 32) + 5},
        Row{"mov.b64 {_, r9}, d1;", {(7ULL << 32) + 5, 0, 0}, 7}, Row{"mov.b32 r9, {h1, h2};", {5, 7, 0}, 0x70005},
        Row{"mov.b32 {h9, h8}, r1;", {0x70005, 0, 0}, 5},
        Row{"@p3 bra OVER; add.u32 r1, r1, 1; OVER: mov.u32 r9, r1;", {4, 0, 0}, 5}));

INSTANTIATE_TEST_SUITE_P(
    Compare, Instruction,
    testing::Values(
        Row{"setp.lt.s32 p9, r1, r2;", {s(-1), 0, 0}, 1}, Row{"setp.lt.u32 p9, r1, r2;", {s(-1), 0, 0}, 0},
        Row{"setp.eq.f32 p9, r1, r2;", {f(kNan), f(kNan), 0}, 0},
        Row{"setp.equ.f32 p9, r1, r2;", {f(kNan), f(1), 0}, 1}, Row{"setp.ne.f32 p9, r1, r2;", {f(kNan), f(1), 0}, 0},
        Row{"setp.neu.f32 p9, r1, r2;", {f(kNan), f(1), 0}, 1}, Row{"setp.nan.f32 p9, r1, r2;", {f(kNan), f(1), 0}, 1},
        Row{"setp.num.f32 p9, r1, r2;", {f(kNan), f(1), 0}, 0},
        Row{"setp.gt.and.f32 p9, r1, r2, p3;", {f(2), f(1), 0}, 0},
        Row{"setp.gt.or.f32 p9, r1, r2, p3;", {f(0), f(1), 1}, 1}, Row{"setp.ge.s64 p8|p9, d1, d2;", {3, 5, 0}, 1},
        Row{"setp.hi.u32 p9, r1, r2;", {3, 1, 0}, 1}, Row{"setp.lt.bf16 p9, h1, h2;", {0xbf80, 0x3f80, 0}, 1},
        Row{"set.lt.u32.f32 r9, r1, r2;", {f(1), f(2), 0}, 0xffffffff},
        Row{"set.gt.f32.f32 r9, r1, r2;", {f(3), f(2), 0}, f(1)}, Row{"selp.b32 r9, r1, r2, p3;", {4, 5, 1}, 4},
        Row{"selp.b64 d9, d1, d2, p3;", {4, 5, 0}, 5}, Row{"slct.f32.s32 r9, r1, r2, r3;", {4, 5, s(-1)}, 5},
        Row{"and.pred p9, p1, p2;", {1, 0, 0}, 0}, Row{"or.pred p9, p1, !p2;", {0, 0, 0}, 1},
        Row{"not.pred p9, p1;", {0, 0, 0}, 1}, Row{"testp.infinite.f32 p9, r1;", {f(kInf), 0, 0}, 1},
        Row{"testp.notanumber.f32 p9, r1;", {f(kNan), 0, 0}, 1}, Row{"testp.finite.f64 p9, d1;", {g(1), 0, 0}, 1}));

INSTANTIATE_TEST_SUITE_P(
    Float, Instruction,
    testing::Values(
        Row{"add.f32 r9, r1, r2;", {f(1.5F), f(2.25F), 0}, f(3.75F)},
        Row{"sub.f32 r9, r1, r2;", {f(1.5F), f(2), 0}, f(-0.5F)}, Row{"mul.f32 r9, r1, r2;", {f(1.5F), f(2), 0}, f(3)},
        Row{"fma.rn.f32 r9, r1, r2, r3;", {f(1 + 0x1p-12F), f(1 - 0x1p-12F), f(-1)}, f(-0x1p-24F)},
        Row{"fma.rm.f32 r9, r1, r2, r3;", {f(1), f(1), f(0x1p-30F)}, f(1)},
        Row{"fma.rp.f32 r9, r1, r2, r3;", {f(1), f(1), f(0x1p-30F)}, f(1 + 0x1p-23F)},
        Row{"add.rz.f32 r9, r1, r2;", {f(-1), f(-0x1p-30F), 0}, f(-1)},
        Row{"add.rm.f32 r9, r1, r2;", {f(-1), f(-0x1p-30F), 0}, f(-1 - 0x1p-23F)},
        Row{"add.sat.f32 r9, r1, r2;", {f(1), f(2), 0}, f(1)}, Row{"div.rn.f32 r9, r1, r2;", {f(1), f(4), 0}, f(0.25F)},
        Row{"rcp.rn.f32 r9, r1;", {f(4), 0, 0}, f(0.25F)}, Row{"sqrt.rn.f32 r9, r1;", {f(9), 0, 0}, f(3)},
        Row{"rsqrt.approx.f32 r9, r1;", {f(4), 0, 0}, f(0.5F)}, Row{"ex2.approx.ftz.f32 r9, r1;", {f(3), 0, 0}, f(8)},
        Row{"lg2.approx.f32 r9, r1;", {f(8), 0, 0}, f(3)}, Row{"sin.approx.f32 r9, r1;", {f(0), 0, 0}, f(0)},
        Row{"cos.approx.f32 r9, r1;", {f(0), 0, 0}, f(1)}, Row{"tanh.approx.f32 r9, r1;", {f(0), 0, 0}, f(0)},
        Row{"neg.f32 r9, r1;", {f(1), 0, 0}, f(-1)}, Row{"abs.f32 r9, r1;", {f(-1), 0, 0}, f(1)},
        Row{"min.f32 r9, r1, r2;", {f(kNan), f(2), 0}, f(2)},
        Row{"max.NaN.f32 r9, r1, r2;", {f(kNan), f(2), 0}, 0x7fc00000},
        Row{"max.f32 r9, r1, r2;", {f(-0.0F), f(0.0F), 0}, f(0.0F)},
        Row{"min.f32 r9, r1, r2;", {f(0.0F), f(-0.0F), 0}, f(-0.0F)},
        Row{"copysign.f32 r9, r1, r2;", {f(-1), f(3), 0}, f(-3)}, Row{"add.f64 d9, d1, d2;", {g(1.5), g(2), 0}, g(3.5)},
        Row{"fma.rn.f64 d9, d1, d2, d3;", {g(3), g(4), g(5)}, g(17)},
        Row{"div.rn.f64 d9, d1, d2;", {g(1), g(8), 0}, g(0.125)},
        // Half precision: 0x3c00 = 1 in f16, 0x3f80 = 1 in bf16; the upper half of a pair is computed apart.
        Row{"add.f16 h9, h1, h2;", {0x3c00, 0x4000, 0}, 0x4200},
        Row{"mul.bf16x2 r9, r1, r2;", {0x40003f80, 0x40404000, 0}, 0x40c04000},
        Row{"fma.rn.bf16 h9, h1, h2, h3;", {0x3f80, 0x4000, 0x3f80}, 0x4040},
        Row{"fma.rn.f16x2 r9, r1, r2, r3;", {0x3c003c00, 0x40003c00, 0x3c003c00}, 0x42004000},
        Row{"fma.rn.relu.bf16 h9, h1, h2, h3;", {0x3f80, 0xc000, 0x3f80}, 0},
        Row{"max.bf16x2 r9, r1, r2;", {0x3f80bf80, 0x40003f80, 0}, 0x40003f80},
        Row{"min.NaN.bf16 h9, h1, h2;", {0x7fc0, 0x3f80, 0}, 0x7fff}, Row{"neg.bf16 h9, h1;", {0x3f80, 0, 0}, 0xbf80},
        Row{"abs.f16x2 r9, r1;", {0xbc00bc00, 0, 0}, 0x3c003c00}, Row{"ex2.approx.f16 h9, h1;", {0x3c00, 0, 0}, 0x4000},
        // 1 + 2^-8 + 2^-16 rounds up, 1 + 2^-8 to even: one rounding, not two.
        Row{"fma.rn.bf16 h9, h1, h2, h3;", {0x3f80, 0x3f80, 0x3b80}, 0x3f80},
        Row{"fma.rn.bf16 h9, h1, h2, h3;", {0x3f81, 0x3f80, 0x3b80}, 0x3f82}));

INSTANTIATE_TEST_SUITE_P(
    Convert, Instruction,
    testing::Values(
        Row{"cvt.u64.u32 d9, r1;", {s(-1), 0, 0}, 0xffffffff}, Row{"cvt.s64.s32 d9, r1;", {s(-1), 0, 0}, ~0ULL},
        Row{"cvt.u32.u64 r9, d1;", {(5ULL << 32) + 3, 0, 0}, 3}, Row{"cvt.s32.s8 r9, r1;", {0x80, 0, 0}, 0xffffff80},
        Row{"cvt.u32.u16 r9, h1;", {0xffff, 0, 0}, 0xffff}, Row{"cvt.s32.s16 r9, h1;", {0xffff, 0, 0}, 0xffffffff},
        Row{"cvt.u8.u32 r9, r1;", {0x1ff, 0, 0}, 0xff}, Row{"cvt.sat.u8.s32 r9, r1;", {s(-5), 0, 0}, 0},
        Row{"cvt.sat.s8.s32 r9, r1;", {300, 0, 0}, 127}, Row{"cvt.rn.f32.s32 r9, r1;", {s(-3), 0, 0}, f(-3)},
        Row{"cvt.rn.f32.u32 r9, r1;", {0xffffffff, 0, 0}, f(4294967296.0F)},
        Row{"cvt.rz.f32.u32 r9, r1;", {0xffffffff, 0, 0}, f(4294967040.0F)},
        Row{"cvt.rn.f32.u64 r9, d1;", {1ULL << 40, 0, 0}, f(0x1p40F)},
        Row{"cvt.rzi.s32.f32 r9, r1;", {f(-2.7F), 0, 0}, s(-2) & 0xffffffff},
        Row{"cvt.rni.s32.f32 r9, r1;", {f(2.5F), 0, 0}, 2}, Row{"cvt.rpi.s32.f32 r9, r1;", {f(2.1F), 0, 0}, 3},
        Row{"cvt.rmi.s32.f32 r9, r1;", {f(-2.1F), 0, 0}, s(-3) & 0xffffffff},
        Row{"cvt.rzi.u32.f32 r9, r1;", {f(-5), 0, 0}, 0}, Row{"cvt.rzi.s32.f32 r9, r1;", {f(1e20F), 0, 0}, 0x7fffffff},
        Row{"cvt.rzi.s32.f32 r9, r1;", {f(kNan), 0, 0}, 0}, Row{"cvt.rni.f32.f32 r9, r1;", {f(2.5F), 0, 0}, f(2)},
        Row{"cvt.rmi.f32.f32 r9, r1;", {f(-2.5F), 0, 0}, f(-3)}, Row{"cvt.sat.f32.f32 r9, r1;", {f(1.5F), 0, 0}, f(1)},
        Row{"cvt.sat.f32.f32 r9, r1;", {f(kNan), 0, 0}, f(0)}, Row{"cvt.f64.f32 d9, r1;", {f(1.5F), 0, 0}, g(1.5)},
        Row{"cvt.rn.f32.f64 r9, d1;", {g(1 + 0x1p-24), 0, 0}, f(1)},
        Row{"cvt.rp.f32.f64 r9, d1;", {g(1 + 0x1p-24), 0, 0}, f(1 + 0x1p-23F)},
        Row{"cvt.rn.f16.f32 h9, r1;", {f(1 + 0x1p-11F), 0, 0}, 0x3c00},
        Row{"cvt.rz.f16.f32 h9, r1;", {f(1 + 0x1.8p-10F), 0, 0}, 0x3c01},
        Row{"cvt.f32.f16 r9, h1;", {0x0001, 0, 0}, f(0x1p-24F)},
        Row{"cvt.rn.bf16.f32 h9, r1;", {f(1 + 0x1p-8F), 0, 0}, 0x3f80},
        Row{"cvt.rn.bf16.f32 h9, r1;", {f(1 + 0x1.8p-8F), 0, 0}, 0x3f81},
        Row{"cvt.rz.bf16.f32 h9, r1;", {f(1 + 0x1.8p-7F), 0, 0}, 0x3f81},
        Row{"cvt.rn.bf16.f32 h9, r1;", {f(kNan), 0, 0}, 0x7fff},
        Row{"cvt.f32.bf16 r9, h1;", {0x4049, 0, 0}, 0x40490000},
        Row{"cvt.rn.bf16x2.f32 r9, r1, r2;", {f(2), f(1), 0}, 0x40003f80},
        Row{"cvt.rn.f16x2.f32 r9, r1, r2;", {f(2), f(1), 0}, 0x40003c00},
        Row{"cvt.rn.relu.bf16x2.f32 r9, r1, r2;", {f(-2), f(1), 0}, 0x00003f80},
        // e4m3: 1 = 0x38, 448 = 0x7e, the least subnormal 2^-9 = 0x01; ties go to even.
        Row{"cvt.rn.satfinite.e4m3x2.f32 h9, r1, r2;", {f(448), f(1), 0}, 0x7e38},
        Row{"cvt.rn.satfinite.e4m3x2.f32 h9, r1, r2;", {f(1e9F), f(-1e9F), 0}, 0x7efe},
        Row{"cvt.rn.satfinite.e4m3x2.f32 h9, r1, r2;", {f(kNan), f(0x1p-9F), 0}, 0x7f01},
        Row{"cvt.rn.satfinite.e4m3x2.f32 h9, r1, r2;", {f(1.0625F), f(1.1875F), 0}, 0x383a},
        Row{"cvt.rn.satfinite.e4m3x2.f32 h9, r1, r2;", {f(0x1p-10F), f(0x1.8p-9F), 0}, 0x0002},
        Row{"cvt.rn.satfinite.e5m2x2.f32 h9, r1, r2;", {f(1), f(57344), 0}, 0x3c7b},
        Row{"cvt.rn.f16x2.e4m3x2 r9, h1;", {0x7e38, 0, 0}, 0x5f003c00},
        Row{"cvt.rn.f16x2.e5m2x2 r9, h1;", {0x3c40, 0, 0}, 0x3c004000}));

}  // namespace
}  // namespace ptx::test
