#include <gtest/gtest.h>

#include <algorithm>

#include <fmt/format.h>

#include <traincost/measure/bench_file.hpp>
#include <traincost/measure/google_benchmark.hpp>
#include <traincost/measure/row_fields.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

const std::string kChip = "h100-sxm5-80gb";

BenchEntry entry(const std::string& mode, double m, double microseconds) {
  const work::Op op = work::Gemm{.m = m, .n = 4096, .k = 4096};
  const double seconds = microseconds * 1e-6, flop = work::flops(op).value;
  return {.name = fmt::format("gemm/x/bf16/m={}/{}", m, mode),
          .fields = {{"case", "gemm"},
                     {"provider", "x"},
                     {"dtype", "bf16"},
                     {"mode", mode},
                     {"m", fmt::format("{}", m)},
                     {"n", "4096"},
                     {"k", "4096"},
                     {"flop", fmt::format("{}", flop)},
                     {"traffic_bytes", fmt::format("{}", work::bytes(op, work::Dtype::bf16).value)},
                     {"flop_per_s", fmt::format("{}", flop / seconds)}},
          .latency = {seconds}};
}

BenchEntry copy(double gigabytes, double gigabytes_per_s) {
  const double seconds = gigabytes / gigabytes_per_s;
  return {.name = fmt::format("copy/x/bf16/{}GB/cold", gigabytes),
          .fields = {{"case", "copy"}, {"mode", "cold"}, {"traffic_bytes", fmt::format("{}", gigabytes * 1e9)}},
          .latency = {seconds}};
}

std::vector<std::string> failed(std::vector<BenchEntry> entries, const CopyRates& known = {}) {
  return failed_gates({.origin = "b.json", .chip = kChip, .entries = std::move(entries)}, catalog::chips(), known);
}

TEST(Gates, AFileThatMayBeRightPasses) {
  EXPECT_EQ(failed({entry("cold", 1024, 60), entry("hot", 1024, 50), entry("cold", 4096, 200), copy(8, 2900)},
                   {{kChip, {2900e9}}}),
            std::vector<std::string>{});
}

TEST(Gates, EachKindOfNonsenseIsNamed) {
  // 4096^3 x 2 FLOP at 989 TFLOP/s: 139 us.
  EXPECT_EQ(failed({entry("cold", 4096, 100)}),
            std::vector<std::string>{"gemm/x/bf16/m=4096/cold: 100.00 us is less than its floor of 138.91 us on "
                                     "h100-sxm5-80gb"});
  auto contradicts = entry("cold", 4096, 200);
  contradicts.fields["flop_per_s"] = "1e14";
  EXPECT_EQ(failed({contradicts}).size(), 1U);
  EXPECT_EQ(failed({entry("cold", 4096, 200), entry("hot", 4096, 220)}),
            std::vector<std::string>{"gemm/x/bf16/m=4096/cold: 200.00 us cold is less than 220.00 us hot"});
  EXPECT_EQ(failed({entry("cold", 4096, 200), entry("cold", 2048, 280)}),
            std::vector<std::string>{
                "gemm/x/bf16/m=4096/cold: 200.00 us is less than 280.00 us of the smaller gemm/x/bf16/m=2048/cold"});
  EXPECT_EQ(
      failed({copy(1, 2900), copy(8, 2500)}, {{kChip, {2900e9}}}),
      std::vector<std::string>{"copy/x/bf16/8GB/cold: copies 2500 GB/s, expected 2755 to 3045 on h100-sxm5-80gb"});
  EXPECT_EQ(failed({copy(8, 2400)}).size(), 1U) << "by the data sheet where no copy is known";
}

TEST(Gates, TheChipMustBeKnown) {
  EXPECT_EQ(failed_gates({.origin = "b.json", .chip = "h1000", .entries = {}}, catalog::chips(), {}),
            std::vector<std::string>{"chip = \"h1000\", expected one of the catalogue"});
}

TEST(Gates, CopiesAreKnownFromPublishedOnes) {
  const Row published{
      .op = work::Stream{.bytes = 1e9}, .chip = "H100 SXM5", .provider = "BabelStream Copy", .latency = {1 / 2.9e3}};
  EXPECT_DOUBLE_EQ(copy_rates({published}, catalog::chips()).at(kChip).value, 2.9e12);
}

TEST(RowFields, AnOperationComesBackAsItWas) {
  for (const work::Op& op : std::initializer_list<work::Op>{
           work::Gemm{1, 2, 3}, work::Attention{1, 2, 3, 4, 5, 6, 7, false, work::Pass::backward},
           work::Decode{1, 2, 3, 4, 5, 6, 7, true, work::Dtype::fp8}, work::MoeMlp{1, 2, 3, 4, 1.5}, work::Stream{7},
           work::Quantize{8, 9}, work::Collective{work::CollectiveKind::all_to_all, 10, 8},
           work::MoeExchange{1, 2, 3, 4, 5, true}}) {
    const auto fields = fields_of(op);
    BenchEntry e{.name = "x", .fields = fields.words, .latency = {1e-3}};
    for (const auto& [key, value] : fields.numbers) e.fields[key] = fmt::format("{}", value);
    e.fields["dtype"] = "bf16";
    e.fields["chip"] = kChip;
    const auto rows = rows_of({.origin = "b.json", .chip = kChip, .entries = {e}});
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].op, op) << work::describe(op);
  }
}

TEST(RowFields, AKernelThatIsNoOperationGivesNoRow) {
  const BenchEntry e{.name = "moe_index", .fields = {{"case", "moe_index"}}, .latency = {1e-5}};
  EXPECT_TRUE(rows_of({.origin = "b.json", .chip = kChip, .entries = {e}}).empty());
}

}  // namespace
}  // namespace traincost::measure
