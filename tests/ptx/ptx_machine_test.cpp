#include <gtest/gtest.h>

#include "error.hpp"
#include "ptx_text.hpp"

// Instructions of a warp or a block, memory, and errors of the text.
namespace ptx::test {
namespace {

// Each lane with its own inputs.
Inputs lanes_with(std::uint64_t (*value)(std::uint64_t), std::size_t threads = 32) {
  Inputs in(threads);
  for (std::size_t i = 0; i < threads; ++i) in[i] = {value(i), i, i % 5};
  return in;
}
std::uint64_t square(std::uint64_t i) { return i * i; }

TEST(Warp, Shuffles) {
  const auto in = lanes_with(square);
  const auto up = run_text("shfl.sync.up.b32 r9, r1, 3, 0, -1;", 'r', in);
  const auto down = run_text("shfl.sync.down.b32 r9, r1, 3, 31, -1;", 'r', in);
  const auto bfly = run_text("shfl.sync.bfly.b32 r9, r1, 5, 31, -1;", 'r', in);
  const auto from = run_text("shfl.sync.idx.b32 r9, r1, 9, 31, -1;", 'r', in);
  // Segments of 8 lanes: c = (32 - 8) << 8 | 7 (PTX ISA 9.7.9.6).
  const auto part = run_text("shfl.sync.idx.b32 r9, r1, 2, 0x1807, -1;", 'r', in);
  const auto valid = run_text("shfl.sync.down.b32 r8|p9, r1, 1, 0x1807, -1;", 'p', in);
  for (std::uint64_t i = 0; i < 32; ++i) {
    EXPECT_EQ(up[i], square(i < 3 ? i : i - 3));
    EXPECT_EQ(down[i], square(i + 3 > 31 ? i : i + 3));
    EXPECT_EQ(bfly[i], square(i ^ 5));
    EXPECT_EQ(from[i], square(9));
    EXPECT_EQ(part[i], square(i / 8 * 8 + 2));
    EXPECT_EQ(valid[i], i % 8 != 7 ? 1U : 0U);
  }
}

TEST(Warp, VotesMatchesReductions) {
  const auto in = lanes_with(square);
  const auto ballot = run_text("setp.gt.u32 p8, r2, 20; vote.sync.ballot.b32 r9, p8, -1;", 'r', in);
  const auto any = run_text("setp.gt.u32 p8, r2, 30; vote.sync.any.pred p9, p8, -1;", 'p', in);
  const auto all = run_text("setp.gt.u32 p8, r2, 30; vote.sync.all.pred p9, p8, -1;", 'p', in);
  const auto same = run_text("match.any.sync.b32 r9, r3, -1;", 'r', in);
  const auto equal = run_text("match.all.sync.b32 r8|p9, r3, -1;", 'p', in);
  const auto sum = run_text("redux.sync.add.u32 r9, r1, -1;", 'r', in);
  const auto most = run_text("redux.sync.max.s32 r9, r1, -1;", 'r', in);
  const auto least = run_text("sub.u32 r1, r1, 5; redux.sync.min.s32 r9, r1, -1;", 'r', in);
  const auto active = run_text("mov.u32 r9, 0; setp.lt.u32 p8, r2, 7; @p8 activemask.b32 r9;", 'r', in);
  for (std::uint64_t i = 0; i < 32; ++i) {
    EXPECT_EQ(ballot[i], 0xffe00000U);
    EXPECT_EQ(any[i], 1U);
    EXPECT_EQ(all[i], 0U);
    std::uint64_t expected = 0;
    for (std::uint64_t j = i % 5; j < 32; j += 5) expected |= 1ULL << j;
    EXPECT_EQ(same[i], expected);
    EXPECT_EQ(equal[i], 0U);
    EXPECT_EQ(sum[i], 31U * 32 * 63 / 6);
    EXPECT_EQ(most[i], 31U * 31);
    EXPECT_EQ(least[i], 0xfffffffbU);
    EXPECT_EQ(active[i], i < 7 ? 0x7fU : 0U);
  }
}

TEST(Warp, LanesThatBranchApartMeetAgain) {
  // Each lane loops its own number of times, then all add up.
  const auto out = run_text(
      "mov.u32 r9, 0; LOOP: add.u32 r9, r9, 1; setp.le.u32 p8, r9, r2; @p8 bra LOOP; redux.sync.add.u32 r9, r9, -1;",
      'r', lanes_with(square));
  EXPECT_EQ(out[0], 32U * 33 / 2);
}

TEST(Warp, TilesNameTheirOwnMasks) {
  const auto out =
      run_text("shr.u32 r4, r2, 3; shl.b32 r4, r4, 3; shl.b32 r4, 0xff, r4; redux.sync.add.u32 r9, r2, r4;", 'r',
               lanes_with(square));
  for (std::uint64_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i / 8 * 64 + 28);
}

TEST(Warp, LanesThatSpinLetTheOthersOfTheirWarpGoOn) {
  // A lock that each lane takes and gives back; the lanes that wait loop at the lower address.
  const std::string body = R"(
    setp.eq.u32 p8, r2, 0; @p8 st.shared.v2.u32 [buf], {0, 0}; bar.sync 0;
    TAKE: atom.shared.cas.b32 r4, [buf], 0, 1; setp.ne.u32 p8, r4, 0; @p8 bra TAKE;
    ld.shared.u32 r5, [buf+4]; add.u32 r5, r5, 1; st.shared.u32 [buf+4], r5;
    atom.shared.exch.b32 r4, [buf], 0;
    bar.sync 0; ld.shared.u32 r9, [buf+4];
  )";
  for (Options schedule : schedules()) {
    schedule.checks.races = false;  // relaxed atomics order nothing
    schedule.max_warp_instructions = 20'000'000;
    set_options(schedule);
    EXPECT_EQ(run_text(body, 'r', lanes_with(square))[0], 32U);
  }
  set_options({});
}

TEST(Block, BarrierReductions) {
  const auto in = lanes_with(square, 96);
  for (const Options& schedule : schedules()) {
    set_options(schedule);
    EXPECT_EQ(run_text("setp.lt.u32 p8, r2, 70; bar.red.popc.u32 r9, 0, p8;", 'r', in)[95], 70U);
    EXPECT_EQ(run_text("setp.lt.u32 p8, r2, 70; barrier.red.and.pred p9, 0, p8;", 'p', in)[0], 0U);
    EXPECT_EQ(run_text("setp.lt.u32 p8, r2, 70; bar.red.or.pred p9, 1, p8;", 'p', in)[0], 1U);
  }
}

// Warps 0 and 1 produce and arrive, warp 2 waits and reads: a named barrier of 96 threads.
TEST(Block, NamedBarrierOrdersProducerAndConsumer) {
  const std::string body = R"(
    mov.u32 r4, buf; shl.b32 r5, r2, 2; and.b32 r5, r5, 255; add.u32 r4, r4, r5; mov.u32 r9, 0;
    setp.ge.u32 p8, r2, 64;
    @p8 bra READ;
    st.shared.u32 [r4], r2;
    bar.arrive 3, 96;
    bra DONE;
    READ:
    bar.sync 3, 96;
    ld.shared.u32 r9, [r4+128];
    DONE:
  )";
  for (const Options& schedule : schedules()) {
    set_options(schedule);
    const auto out = run_text({.body = body, .shared = 256}, lanes_with(square, 96));
    for (std::uint64_t i = 64; i < 96; ++i) EXPECT_EQ(out[i], i - 32);
  }
}

// ---- memory
TEST(Memory, VectorsAndNarrowTypes) {
  const std::string body = R"(
    mov.u32 r4, buf; mad.lo.u32 r4, r2, 16, r4;
    st.shared.v4.u32 [r4], {r1, r2, r3, r1};
    ld.shared.v2.u64 {d4, d5}, [r4];
    ld.shared.s8 r6, [r4]; ld.shared.u16 h4, [r4+4]; ld.shared.s16 d6, [r4+4];
    cvta.shared.u64 d7, 0; ld.u32 r7, [d7];
    cvt.u32.u64 r8, d5; sub.u32 r8, r8, r3; cvt.u32.u16 r10, h4; add.u32 r9, r8, r10; add.u32 r9, r9, r6;
  )";
  set_options({.checks = {.races = false}});
  const auto out = run_text({.body = body, .shared = 512}, lanes_with([](std::uint64_t i) { return i + 0xf0; }));
  for (std::uint64_t i = 0; i < 32; ++i) {
    const auto byte = static_cast<std::int8_t>(static_cast<std::uint8_t>(i + 0xf0));
    EXPECT_EQ(static_cast<std::uint32_t>(out[i]), static_cast<std::uint32_t>(static_cast<int>(i) + byte)) << i;
  }
  set_options({});
}

struct AtomicRow {
  std::string text;
  std::uint32_t start, expected;
};
TEST(Memory, Atomics) {
  const std::vector<AtomicRow> rows{{"atom.shared.add.u32 r8, [buf], r2;", 5, 5 + 31 * 16},
                                    {"atom.shared.min.s32 r8, [buf], r2;", 5, 0},
                                    {"atom.shared.max.u32 r8, [buf], r2;", 5, 31},
                                    {"atom.shared.or.b32 r8, [buf], r2;", 32, 63},
                                    {"atom.shared.and.b32 r8, [buf], r2;", 0xff, 0},
                                    {"atom.shared.xor.b32 r8, [buf], 1;", 1, 1},
                                    {"atom.shared.inc.u32 r8, [buf], 9;", 0, 2},
                                    {"atom.shared.dec.u32 r8, [buf], 9;", 0, 8},
                                    {"atom.shared.cas.b32 r8, [buf], 7, 9;", 7, 9},
                                    {"red.shared.add.u32 [buf], 2;", 1, 65},
                                    {"red.shared.add.f32 [buf], 0f3F800000;", 0, 0x42000000},
                                    {"red.shared.add.noftz.bf16x2 [buf], 0x3f803f80;", 0, 0x42004200}};
  for (const AtomicRow& row : rows) {
    for (const Options& schedule : schedules()) {
      set_options(schedule);
      const std::string body = fmt::format(
          "setp.eq.u32 p8, r2, 0; @p8 st.shared.u32 [buf], {}; bar.sync 0; {} bar.sync 0; ld.shared.u32 r9, [buf];",
          row.start, row.text);
      EXPECT_EQ(run_text(body, 'r', lanes_with(square))[0], row.expected) << row.text;
    }
  }
}

TEST(Memory, VectorsOfFloatsAreAddedEachByItself) {
  for (const Options& schedule : schedules()) {
    set_options(schedule);
    // Two lanes add to each 16 bytes.
    const auto out = run_text(
        "st.global.u64 [to], 0; bar.sync 0; and.b64 d5, to, -16; red.relaxed.gpu.global.add.v4.f32 [d5], {0f3F800000, "
        "0f40000000, 0f40400000, 0f40800000}; bar.sync 0; ld.global.u64 d9, [to];",
        'd', lanes_with(square));
    for (std::uint64_t i = 0; i < 32; ++i)
      EXPECT_EQ(out[i], i % 2 == 0 ? 0x4080000040000000 : 0x4100000040c00000) << i;  // 2, 4 and 6, 8
  }
}

TEST(Memory, AtomicsGiveEachLaneTheValueBefore) {
  set_options({});
  const auto out =
      run_text("setp.eq.u32 p8, r2, 0; @p8 st.shared.u32 [buf], 0; bar.sync 0; atom.shared.add.u32 r9, [buf], 1;", 'r',
               lanes_with(square));
  for (std::uint64_t i = 0; i < 32; ++i) EXPECT_EQ(out[i], i);
}

TEST(Memory, AsyncCopiesArriveAtTheWait) {
  const std::string body = R"(
    mov.u32 r4, buf; mad.lo.u32 r4, r2, 8, r4;
    cp.async.ca.shared.global [r4], [at], 8;
    cp.async.commit_group;
    cp.async.wait_group 0;
    ld.shared.u32 r9, [r4];
  )";
  set_options({});
  EXPECT_EQ(run_text({.body = body, .shared = 256}, lanes_with(square))[6], 36U);
  const std::string zero = R"(
    mov.u32 r4, buf; mad.lo.u32 r4, r2, 16, r4; and.b64 d8, at, -16;
    cp.async.cg.shared.global [r4], [d8], 16, 0;
    cp.async.wait_all;
    ld.shared.u32 r9, [r4];
  )";
  EXPECT_EQ(run_text({.body = zero, .shared = 512}, lanes_with(square))[6], 0U);
}

// ldmatrix: lane l gets elements 2 (l % 4) and the next of row l / 4 of each matrix; .trans of the transposed one.
TEST(Matrix, LoadsAndStoresOfFragments) {
  const std::string fill = R"(
    mov.u32 r4, buf; mad.lo.u32 r5, r2, 16, r4;
    shl.b32 r6, r2, 3;
    cvt.u16.u32 h4, r6; add.u16 h5, h4, 1; add.u16 h6, h4, 2; add.u16 h7, h4, 3;
    mov.b32 r7, {h4, h5}; mov.b32 r8, {h6, h7};
    add.u32 r10, r7, 0x40004; add.u32 r11, r8, 0x40004;
    st.shared.v4.b32 [r5], {r7, r8, r10, r11};
    bar.sync 0;
  )";
  set_options({});
  for (const bool transposed : {false, true}) {
    for (std::uint64_t matrix = 0; matrix < 4; ++matrix) {
      const std::string load =
          fmt::format("ldmatrix.sync.aligned.m8n8.x4{}.shared.b16 {{r12, r13, r14, r15}}, [r5]; mov.b32 r9, r{};",
                      transposed ? ".trans" : "", 12 + matrix);
      const auto out = run_text({.body = fill + load, .shared = 512}, lanes_with(square));
      for (std::uint64_t lane = 0; lane < 32; ++lane) {
        for (std::uint64_t e = 0; e < 2; ++e) {
          const std::uint64_t x = lane / 4, y = lane % 4 * 2 + e;
          const std::uint64_t expected = matrix * 64 + (transposed ? y * 8 + x : x * 8 + y);
          EXPECT_EQ(out[lane] >> (16 * e) & 0xffff, expected) << matrix << " " << lane;
        }
      }
      const std::string there_and_back = fmt::format(
          "ldmatrix.sync.aligned.m8n8.x4{0}.shared.b16 {{r12, r13, r14, r15}}, [r5]; bar.sync 0;"
          "stmatrix.sync.aligned.m8n8.x4{0}.shared.b16 [r5], {{r12, r13, r14, r15}}; bar.sync 0; ld.shared.u32 r9, "
          "[r5];",
          transposed ? ".trans" : "");
      EXPECT_EQ(run_text({.body = fill + there_and_back, .shared = 512}, lanes_with(square))[9], 73U << 16 | 72U);
    }
  }
}

std::string fault_of(const std::string& body) {
  try {
    run_text(body, 'r', lanes_with(square));
  } catch (const KernelFault& fault) {
    return fault.what();
  }
  return "";
}

TEST(Errors, MasksThatCannotBeMet) {
  set_options({});
  const std::string exited = fault_of("setp.ge.u32 p8, r2, 16; @p8 exit; shfl.sync.idx.b32 r9, r1, 0, 31, -1;");
  EXPECT_NE(exited.find("of which 0xffff0000 have exited"), std::string::npos) << exited;
  const std::string stranger = fault_of("shfl.sync.idx.b32 r9, r1, 0, 31, 0xff;");
  EXPECT_NE(stranger.find("thread 8"), std::string::npos) << stranger;
  const std::string source =
      fault_of("setp.ge.u32 p8, r2, 16; @p8 bra OVER; shfl.sync.idx.b32 r9, r1, 20, 31, 0xffff; OVER:");
  EXPECT_NE(source.find("reads lane 20, which is not in the mask"), std::string::npos) << source;
}

TEST(Errors, UnknownInstructionNamesKernelLineAndOpcode) {
  try {
    run_text("mov.u32 r9, 0;\n tex.1d.v4.f32.s32 {r4, r5, r6, r7}, [d1, {r1}];", 'r', lanes_with(square));
    FAIL();
  } catch (const PtxError& error) {
    EXPECT_NE(std::string(error.what()).find("PTX line"), std::string::npos) << error.what();
  }
  try {
    run_text("wgmma.strange.sync.aligned;\n mov.u32 r9, 0;", 'r', lanes_with(square));
    FAIL();
  } catch (const PtxError& error) {
    EXPECT_STREQ(error.what(), "kernel k: PTX line 25: 'wgmma.strange.sync.aligned': unknown instruction");
  }
  EXPECT_THROW(run_text("add.strange.s32 r9, r1, r2;", 'r', lanes_with(square)), PtxError);
  EXPECT_THROW(run_text("ld.global.strange.u32 r9, [at];", 'r', lanes_with(square)), PtxError);
}

}  // namespace
}  // namespace ptx::test
