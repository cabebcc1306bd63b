#include <gtest/gtest.h>

#include <traincost/measure/quarantine.hpp>

namespace traincost::measure {
namespace {

catalog::Chip chip() {
  catalog::Chip c;
  c.id = "made-up";
  c.aliases = {"Made Up 1"};
  c.bf16_dense_flops = {1e15};
  c.memory_bytes_per_s = {1e12};
  c.l2_bytes = {50e6};
  c.link_bytes_per_s = {1e11};
  return c;
}

Row row(const work::Op& op, double seconds, work::Dtype dtype = work::Dtype::bf16) {
  return {.op = op, .dtype = dtype, .chip = "made-up", .provider = "p", .latency = {seconds}, .source = "s"};
}

std::string reason(const Row& r) {
  const auto screened = screen({r}, {chip()});
  return screened.quarantined.empty() ? "" : screened.quarantined.front().reason;
}

const work::Gemm kLarge{.m = 8192, .n = 8192, .k = 8192};  // 1.0995 PFLOP: 1.1 ms at the dense rate

TEST(Quarantine, ArithmeticHasACeiling) {
  EXPECT_EQ(reason(row(kLarge, 1.10e-3)), "");
  EXPECT_EQ(reason(row(kLarge, 1.00e-3)), "faster than its arithmetic");
}

TEST(Quarantine, TrafficHasACeilingExceptInTheCache) {
  EXPECT_EQ(reason(row(work::Stream{.bytes = 1e9}, 0.97e-3)), "");  // 50 MB of it may come from L2
  EXPECT_EQ(reason(row(work::Stream{.bytes = 1e9}, 0.80e-3)), "faster than its memory traffic");
  EXPECT_EQ(reason(row(work::Stream{.bytes = 40e6}, 15e-6)), "");  // 2.7 times the memory rate: all in L2
  EXPECT_EQ(reason(row(work::Stream{.bytes = 40e6}, 5e-6)), "faster than its memory traffic");
}

TEST(Quarantine, SwitchReductionMayExceedTheRingBound) {
  const work::Collective all_reduce{.kind = work::CollectiveKind::all_reduce, .bytes = 1e9, .gpus = 8};
  EXPECT_EQ(reason(row(all_reduce, 10.5e-3)), "");  // bus bandwidth 167 GB/s over a 100 GB/s link
  EXPECT_EQ(reason(row(all_reduce, 9e-3)), "faster than the link");
  auto all_gather = all_reduce;
  all_gather.kind = work::CollectiveKind::all_gather;
  EXPECT_EQ(reason(row(all_gather, 9e-3)), "");
  EXPECT_EQ(reason(row(all_gather, 8e-3)), "faster than the link");
}

TEST(Quarantine, WrongUnitsSignsAndFormats) {
  EXPECT_EQ(reason(row(kLarge, 0)), "latency is not positive");
  EXPECT_EQ(reason(row(kLarge, -1)), "latency is not positive");
  EXPECT_EQ(reason(row(kLarge, 1.5)), "a thousand times its floor: wrong unit?");
  EXPECT_EQ(reason(row(kLarge, 2e-3, work::Dtype::fp8)), "the chip has no such format");
}

TEST(Quarantine, UnknownChipsStayUnresolvedAndAliasesResolve) {
  auto unknown = row(kLarge, 1e-9), alias = row(kLarge, 2e-3);
  unknown.chip = "no such chip";
  alias.chip = "made up 1";
  const auto screened = screen({unknown, alias, row(kLarge, -1), row(kLarge, 0)}, {chip()});
  ASSERT_EQ(screened.rows.size(), 2U);
  EXPECT_FALSE(screened.rows[0].is_resolved);
  EXPECT_TRUE(screened.rows[1].is_resolved);
  EXPECT_EQ(screened.rows[1].chip, "made-up");
  EXPECT_EQ(count_by_reason(screened.quarantined),
            (std::map<std::string, std::size_t>{{"latency is not positive", 2}}));
}

}  // namespace
}  // namespace traincost::measure
