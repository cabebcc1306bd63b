#include <gtest/gtest.h>

#include <traincost/calibrate/own.hpp>
#include <traincost/catalog/chip.hpp>

namespace traincost::calibrate {
namespace {
using measure::Mode;
using measure::Row;

const std::string kChip = "h100-sxm5-80gb";
const work::Op kGemm = work::Gemm{.m = 4096, .n = 4096, .k = 4096};

Row row(const work::Op& op, double seconds, bool is_own, Mode mode = Mode::cold, const std::string& provider = "p") {
  return {.op = op, .chip = kChip, .provider = provider, .latency = {seconds}, .mode = mode, .is_own = is_own};
}

TEST(Own, WinsOnItsChipAndShapeAlone) {
  auto elsewhere = row(kGemm, 3e-4, false);
  elsewhere.chip = "a100-sxm4-80gb";
  const work::Op other = work::Gemm{.m = 1, .n = 2, .k = 3};
  const auto out =
      prefer_own({row(kGemm, 2e-4, true), row(kGemm, 2.5e-4, false), row(other, 1e-5, false), elsewhere}, {});
  ASSERT_EQ(out.rows.size(), 3U);
  EXPECT_TRUE(out.rows[0].is_own);
  EXPECT_EQ(out.rows[1].op, other);
  EXPECT_EQ(out.rows[2].chip, "a100-sxm4-80gb");
}

TEST(Own, WithoutOurTimingsNothingChanges) {
  const auto out = prefer_own({row(kGemm, 2e-4, false), row(kGemm, 3e-4, false)}, {row(kGemm, 9e-4, false)});
  EXPECT_EQ(out.rows.size(), 2U);
  EXPECT_TRUE(out.disagreements.empty());
}

TEST(Own, DisagreementsBeyondATenthAreListedTheWorstFirst) {
  const work::Op second = work::Gemm{.m = 64, .n = 4096, .k = 4096}, third = work::Gemm{.m = 8, .n = 4096, .k = 4096};
  const auto out = prefer_own(
      {row(kGemm, 2e-4, true), row(kGemm, 2.1e-4, true, Mode::cold, "slower"), row(kGemm, 2.15e-4, false),
       row(second, 1e-5, true), row(second, 1.3e-5, false), row(second, 5e-5, false), row(third, 1e-5, true)},
      {row(third, 0.5e-5, false)});
  ASSERT_EQ(out.disagreements.size(), 2U);
  EXPECT_EQ(out.disagreements[0].own.op, third) << "published figures are compared too";
  EXPECT_DOUBLE_EQ(out.disagreements[0].ratio(), 0.5);
  EXPECT_DOUBLE_EQ(out.disagreements[1].ratio(), 1.3) << "the fastest of each";
}

TEST(Own, TheModeFollowsTheOperation) {
  const work::Op decode = work::Decode{.b = 8, .s_kv = 4096, .h_q = 32, .h_kv = 8, .d_qk = 128, .d_v = 128};
  std::vector<Row> rows;
  for (const auto& op : {kGemm, decode})
    for (const auto mode : {Mode::hot, Mode::graph, Mode::cold}) rows.push_back(row(op, 1e-4, true, mode));
  const auto out = prefer_own(rows, {});
  ASSERT_EQ(out.rows.size(), 2U);
  EXPECT_EQ(out.rows[0].mode, Mode::cold);
  EXPECT_EQ(out.rows[1].mode, Mode::graph);
}

TEST(Own, BackwardPassesServeAsRatiosOnly) {
  work::Attention a{.b = 1, .s_q = 4096, .s_kv = 4096, .h_q = 32, .h_kv = 32, .d_qk = 128, .d_v = 128};
  const work::Op forward = a;
  a.pass = work::Pass::backward;
  const auto out = prefer_own({row(forward, 1e-3, true), row(a, 3e-3, true)}, {});
  ASSERT_EQ(out.rows.size(), 1U);
  EXPECT_EQ(out.rows[0].op, forward);
  EXPECT_EQ(out.ratios.size(), 2U);
}

class Refresh : public testing::Test {
 protected:
  static double seconds(const Efficiency& e, const work::Op& op, const std::string& chip = kChip) {
    return e.on(*catalog::find_chip(catalog::chips(), chip)).time(op, work::Dtype::bf16).seconds.value;
  }
  static work::Op gemm(double m) { return work::Gemm{.m = m, .n = 4096, .k = 4096}; }
};

TEST_F(Refresh, MovesASurfaceToTheTimingsAndLeavesTheOthers) {
  const auto& base = default_efficiency();
  std::vector<Row> rows;
  for (const double m : {512, 2048, 8192}) rows.push_back(row(gemm(m), 1.25 * seconds(base, gemm(m)), true));
  const auto after = refresh(base, prefer_own(rows, {}), catalog::chips());
  for (const double m : {512, 1024, 2048, 8192, 16384})
    EXPECT_NEAR(seconds(after, gemm(m)) / seconds(base, gemm(m)), 1.25, 0.03) << m;
  EXPECT_EQ(seconds(after, gemm(2048), "a100-sxm4-80gb"), seconds(base, gemm(2048), "a100-sxm4-80gb"));
  const work::Op attention =
      work::Attention{.b = 1, .s_q = 4096, .s_kv = 4096, .h_q = 32, .h_kv = 8, .d_qk = 128, .d_v = 128};
  EXPECT_EQ(seconds(after, attention), seconds(base, attention));
}

TEST_F(Refresh, TimingsThatAgreeChangeNothing) {
  const auto& base = default_efficiency();
  const std::vector<Row> rows{row(gemm(2048), seconds(base, gemm(2048)), true)};
  const auto after = refresh(base, prefer_own(rows, {}), catalog::chips());
  EXPECT_NEAR(seconds(after, gemm(4096)) / seconds(base, gemm(4096)), 1, 1e-9);
}

}  // namespace
}  // namespace traincost::calibrate
