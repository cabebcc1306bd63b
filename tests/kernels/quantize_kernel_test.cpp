#include <traincost/work/op.hpp>

#include <limits>

#include <kernels/common/random.hpp>
#include <kernels/quantize/quantize.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::quantize {
namespace {

INSTANTIATE_TEST_SUITE_P(Quantize, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct Size {
  int rows, columns;
};

const std::vector<Size> kSizes = {{0, 128},  {1, 8},     {1, 128},   {1, 136},   {2, 120},   {3, 256},   {5, 264},
                                  {7, 1024}, {16, 128},  {17, 384},  {31, 40},   {64, 512},  {97, 136},  {127, 128},
                                  {128, 8},  {128, 128}, {129, 136}, {130, 264}, {200, 640}, {257, 256}, {2, 7168}};

/// `scale_stride`: 0, or scales by columns.
void expect_reference(const Size& size, int rows_per_scale, const std::vector<__nv_bfloat16>& x,
                      std::int64_t scale_stride = 0) {
  SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns << ", " << rows_per_scale << " rows per scale");
  const std::size_t block_rows =
      std::max<std::int64_t>((size.rows + rows_per_scale - 1) / rows_per_scale, scale_stride);
  const DeviceBuffer<__nv_bfloat16> input(x);
  const DeviceBuffer<std::uint8_t> output(x.size());
  const std::vector<float> untouched(block_rows * ((size.columns + 127) / 128), -1);
  const bool has_padding = scale_stride != 0;
  const DeviceBuffer<float> scales =
      has_padding ? DeviceBuffer<float>(untouched) : DeviceBuffer<float>(untouched.size());
  Params p{size.rows, size.columns, rows_per_scale, input.data(), output.data(), scales.data(), scale_stride};
  launch(p, nullptr);
  finish();
  expect_written(output);
  expect_written(scales);
  std::vector<std::uint8_t> want(output.size());
  std::vector<float> want_scales = untouched;
  p.input = x.data();
  p.output = want.data();
  p.scales = want_scales.data();
  reference(p);
  const auto got = output.to_host();
  ASSERT_EQ(scales.to_host(), want_scales);
  for (std::size_t i = 0; i < want.size(); ++i) {
    const bool are_both_nan = (got[i] & 0x7f) == 0x7f && (want[i] & 0x7f) == 0x7f;
    ASSERT_TRUE(got[i] == want[i] || are_both_nan) << i << ": " << int{got[i]} << " for " << int{want[i]};
  }
}

TEST_P(Schedules, RowBlocksEqualTheReference) {
  for (const Size& s : kSizes)
    expect_reference(s, 1, random_bf16(static_cast<std::size_t>(s.rows) * s.columns, -5, 5, 1));
}

TEST_P(Schedules, ScalesByColumnsEqualTheReference) {
  for (const Size& s : kSizes)
    for (const int padding : {0, 3})
      expect_reference(s, 1, random_bf16(static_cast<std::size_t>(s.rows) * s.columns, -5, 5, 1),
                       std::max(1, s.rows + padding));
}

TEST_P(Schedules, SquareBlocksEqualTheReference) {
  for (const Size& s : kSizes)
    expect_reference(s, kScaleBlock, random_bf16(static_cast<std::size_t>(s.rows) * s.columns, -5, 5, 2));
}

TEST_P(Schedules, ZerosExtremesAndNonFinite) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float specials[] = {0, -0.0F, 1e-38F, -1e-40F, 3e38F, std::numeric_limits<float>::quiet_NaN(), kInf, -kInf, 1};
  for (const int rows_per_scale : {1, kScaleBlock})
    for (int kinds = 1; kinds <= 9; ++kinds) {
      Random random(static_cast<std::uint64_t>(kinds));
      std::vector<__nv_bfloat16> x(12UL * 256);
      for (auto& v : x) v = __float2bfloat16(specials[random.below(kinds)]);
      expect_reference({12, 256}, rows_per_scale, x);
    }
}

TEST_P(Schedules, MovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const Size s{128, 7168};  // DeepSeek-V3's width; 4096 rows in training
  for (const auto& [rows_per_scale, scale_stride] : {std::pair{1, 0}, {1, 128}, {kScaleBlock, 0}}) {
    ptx::reset_counters();
    expect_reference(s, rows_per_scale, random_bf16(static_cast<std::size_t>(s.rows) * s.columns, -5, 5, 3),
                     scale_stride);
    const work::Op op = work::Quantize{128, 7168};
    const double ratio = sector_bytes() / work::bytes(op, work::Dtype::fp8_block).value;
    EXPECT_LE(ratio, 1.05) << rows_per_scale;
    EXPECT_GE(ratio, 0.98) << rows_per_scale;  // a scale per 128 x 128 is less than work counts
  }
}

}  // namespace
}  // namespace traincost::kernels::quantize
