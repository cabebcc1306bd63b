#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <kernels/common/fp8.hpp>
#include <kernels/common/random.hpp>
#include <kernels/quantize/quantize.hpp>

namespace traincost::kernels::quantize {
namespace {

struct Quantized {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
};

Quantized quantized(const std::vector<__nv_bfloat16>& x, std::int64_t rows, int columns, int rows_per_scale) {
  const std::int64_t blocks = (rows + rows_per_scale - 1) / rows_per_scale * ((columns + 127) / 128);
  Quantized q{std::vector<std::uint8_t>(x.size(), 0x55), std::vector<float>(blocks, -1)};
  reference({.rows = rows,
             .columns = columns,
             .rows_per_scale = rows_per_scale,
             .input = x.data(),
             .output = q.codes.data(),
             .scales = q.scales.data()});
  return q;
}

class Blocks : public testing::TestWithParam<int> {};

TEST_P(Blocks, ReadsBackWithinHalfAStepOfE4m3) {
  constexpr std::size_t rows = 131, columns = 264, blocks_per_row = 3;
  const auto x = random_bf16(rows * columns, -3, 3, 1);
  const Quantized q = quantized(x, rows, columns, GetParam());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) {
      const double want = __bfloat162float(x[r * columns + c]);
      const double scale = q.scales[r / static_cast<std::size_t>(GetParam()) * blocks_per_row + c / 128];
      const double got = decode_e4m3(q.codes[r * columns + c]) * scale;
      // Half a step: 2^-4 of a normal number, 2^-10 of the scale below the normal ones.
      ASSERT_NEAR(got, want, std::max(std::fabs(want) / 16, scale / 1024) * (1 + 1e-6)) << r << ' ' << c;
    }
}
INSTANTIATE_TEST_SUITE_P(QuantizeReference, Blocks, testing::Values(1, 128));

TEST(QuantizeReference, TheLargestElementBecomesTheLargestCode) {
  std::vector<__nv_bfloat16> x(128, __float2bfloat16(0.5F));
  x[77] = __float2bfloat16(-56);
  const Quantized q = quantized(x, 1, 128, 1);
  EXPECT_EQ(q.scales[0], 0.125F);
  EXPECT_EQ(q.codes[77], 0xfe);
  EXPECT_EQ(decode_e4m3(q.codes[0]), 4);
}

TEST(QuantizeReference, ZerosNanAndInfinity) {
  std::vector<__nv_bfloat16> x(3UL * 128, __float2bfloat16(0));
  x[128] = __float2bfloat16(std::numeric_limits<float>::quiet_NaN());
  x[129] = __float2bfloat16(448);
  x[256] = __float2bfloat16(std::numeric_limits<float>::infinity());
  x[257] = __float2bfloat16(1);
  const Quantized q = quantized(x, 1, 3 * 128, 1);
  EXPECT_EQ(q.scales[0], 1);
  EXPECT_EQ(q.codes[0], 0);
  EXPECT_EQ(q.scales[1], 1);
  EXPECT_EQ(q.codes[128] & 0x7f, 0x7f);
  EXPECT_EQ(decode_e4m3(q.codes[129]), 448);
  EXPECT_TRUE(std::isnan(decode_e4m3(q.codes[257]) * q.scales[2])) << "an overflow must not be hidden";
}

}  // namespace
}  // namespace traincost::kernels::quantize
