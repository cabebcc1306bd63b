#include <gtest/gtest.h>

#include "ptx_text.hpp"

// Access patterns whose sectors and wavefronts are known by hand.
namespace ptx::test {
namespace {

Counters count(const std::string& body) {
  Inputs in(32);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = {0, i, 0};
  Options options;
  options.checks = {.uninitialised = false, .races = false};
  set_options(options);
  reset_counters();
  run_text({.body = body + " mov.u32 r9, 0;", .shared = 8192}, in);
  Counters out = counters();
  reset_counters();
  set_options({});
  return out;
}

struct SharedRow {
  std::string body;  // r2: the lane
  std::uint64_t wavefronts, ideal;
};

TEST(Counters, SharedWavefronts) {
  const std::string base = "mov.u32 r4, buf; ";
  const std::vector<SharedRow> rows{
      {"mad.lo.u32 r5, r2, 4, r4; ld.shared.u32 r6, [r5];", 1, 1},
      {"mad.lo.u32 r5, r2, 8, r4; ld.shared.u32 r6, [r5];", 2, 1},
      {"mad.lo.u32 r5, r2, 128, r4; ld.shared.u32 r6, [r5];", 32, 1},
      {"mad.lo.u32 r5, r2, 132, r4; ld.shared.u32 r6, [r5];", 1, 1},
      {"ld.shared.u32 r6, [r4];", 1, 1},
      {"mad.lo.u32 r5, r2, 2, r4; ld.shared.u16 h6, [r5];", 1, 1},
      {"mad.lo.u32 r5, r2, 8, r4; st.shared.v2.u32 [r5], {r2, r2};", 2, 2},
      {"mad.lo.u32 r5, r2, 16, r4; st.shared.v4.u32 [r5], {r2, r2, r2, r2};", 4, 4},
      {"mad.lo.u32 r5, r2, 128, r4; st.shared.v4.u32 [r5], {r2, r2, r2, r2};", 32, 4},
      // Eight rows of 16 bytes: one wavefront when they lie in different banks, eight when 128 bytes apart.
      {"and.b32 r6, r2, 7; mad.lo.u32 r5, r6, 16, r4; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {r7}, [r5];", 1, 1},
      {"and.b32 r6, r2, 7; mad.lo.u32 r5, r6, 128, r4; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {r7}, [r5];", 8, 1},
      {"and.b32 r6, r2, 7; mad.lo.u32 r5, r6, 144, r4; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {r7}, [r5];", 1, 1}};
  for (const SharedRow& row : rows) {
    const Counters seen = count(base + row.body);
    EXPECT_EQ(seen.shared.wavefronts, row.wavefronts) << row.body;
    EXPECT_EQ(seen.shared.ideal_wavefronts, row.ideal) << row.body;
  }
}

struct GlobalRow {
  std::string body;  // r2: the lane, in: 768 bytes, aligned to 256
  std::uint64_t bytes, sectors, distinct;
};

TEST(Counters, GlobalSectors) {
  const std::string base = "ld.param.u64 d4, [in]; ";
  // The frame itself: three loads of 8 bytes, 24 bytes apart (each touches all 24 sectors), one store of 256 bytes.
  const Counters frame = count(base);
  EXPECT_EQ(frame.global_loads.bytes, 3U * 8 * 32);
  EXPECT_EQ(frame.global_loads.sectors, 3U * 24);
  EXPECT_EQ(frame.global_loads.distinct_sectors, 24U);
  EXPECT_EQ(frame.global_stores.bytes, 256U);
  EXPECT_EQ(frame.global_stores.sectors, 8U);
  const std::vector<GlobalRow> rows{
      {"mad.wide.u32 d5, r2, 4, d4; ld.global.u32 r6, [d5];", 128, 4, 24},
      {"mad.wide.u32 d5, r2, 4, d4; ld.global.u32 r6, [d5+16];", 128, 5, 24},
      {"ld.global.u32 r6, [d4];", 128, 1, 24},
      {"and.b32 r5, r2, 7; mad.wide.u32 d5, r5, 64, d4; ld.global.u32 r6, [d5];", 128, 8, 24},
      {"mad.wide.u32 d5, r2, 16, d4; ld.global.v4.u32 {r5, r6, r7, r8}, [d5];", 512, 16, 24},
      {"mov.u32 r4, buf; mad.lo.u32 r4, r2, 16, r4; mad.wide.u32 d5, r2, 16, d4;"
       "cp.async.cg.shared.global [r4], [d5], 16; cp.async.wait_all;",
       512, 16, 24},
      {"setp.lt.u32 p8, r2, 8; mad.wide.u32 d5, r2, 4, d4; @p8 ld.global.u32 r6, [d5];", 32, 1, 24}};
  for (const GlobalRow& row : rows) {
    const Counters seen = count(base + row.body);
    EXPECT_EQ(seen.global_loads.bytes - frame.global_loads.bytes, row.bytes) << row.body;
    EXPECT_EQ(seen.global_loads.sectors - frame.global_loads.sectors, row.sectors) << row.body;
    EXPECT_EQ(seen.global_loads.distinct_sectors, row.distinct) << row.body;
  }
}

TEST(Counters, InstructionsByClass) {
  const Counters frame = count("");
  const Counters seen =
      count("add.f32 r9, r1, r2; add.f32 r9, r9, r2; bar.sync 0; shfl.sync.idx.b32 r9, r9, 0, 31, -1;");
  EXPECT_EQ(seen.instructions(Class::kFloat) - frame.instructions(Class::kFloat), 2U);
  EXPECT_EQ(seen.instructions(Class::kBarrier) - frame.instructions(Class::kBarrier), 1U);
  EXPECT_EQ(seen.instructions(Class::kWarp) - frame.instructions(Class::kWarp), 1U);
  EXPECT_EQ(seen.instructions(Class::kInteger), frame.instructions(Class::kInteger));
  EXPECT_EQ(seen.launches, 1U);
  EXPECT_EQ(seen.blocks, 1U);
}

}  // namespace
}  // namespace ptx::test
