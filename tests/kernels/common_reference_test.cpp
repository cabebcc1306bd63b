// What kernels and references share: exact fp32 formulas, e4m3, addresses beyond 2^31, how deviations are counted.
#include <cuda_fp8.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/exact_math.hpp>
#include <kernels/common/fp8.hpp>
#include <kernels/common/random.hpp>

namespace traincost::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ExactMath, ExpIsWithinTwoUlp) {
  for (int i = -87 * 4096; i <= 87 * 4096; ++i) {
    const float x = static_cast<float>(i) / 4096;
    const double want = std::exp(static_cast<double>(x));
    const auto rounded = static_cast<float>(want);
    const double ulp = std::nextafter(rounded, kInf) - rounded;
    ASSERT_LE(std::fabs(exact::exp(x) - want), 2 * ulp) << x;
  }
}

TEST(ExactMath, ExpEndsInZeroBelowItsRange) {
  EXPECT_EQ(exact::exp(-87.5F), 0);
  EXPECT_EQ(exact::exp(-kInf), 0);
  EXPECT_EQ(exact::exp(0), 1);
}

TEST(ExactMath, SigmoidIsMonotoneAndPositive) {
  float before = 0;
  for (int i = -20 * 64; i <= 20 * 64; ++i) {
    const float s = exact::sigmoid(static_cast<float>(i) / 64);
    ASSERT_GE(s, before);
    before = s;
  }
  EXPECT_GT(exact::sigmoid(-kInf), 0);
  EXPECT_EQ(exact::sigmoid(kInf), 1);
  EXPECT_EQ(exact::sigmoid(0), 0.5F);
}

TEST(ExactMath, KeysOrderAsFloatsDoWithNanLast) {
  const std::vector<float> rising = {-kInf, -1e30F, -1, -1e-42F, 0, 1e-42F, 1, 1e30F, kInf};
  for (std::size_t i = 0; i + 1 < rising.size(); ++i)
    EXPECT_LT(exact::order_key(rising[i]), exact::order_key(rising[i + 1])) << rising[i];
  EXPECT_LT(exact::order_key(kNan), exact::order_key(-kInf));
  EXPECT_LT(exact::order_key(-kNan), exact::order_key(-kInf));
  EXPECT_GT(exact::order_key(kNan), 0U);
  EXPECT_EQ(exact::order_key(-0.0F), exact::order_key(0.0F));
  for (const float x : rising) EXPECT_EQ(exact::from_order_key(exact::order_key(x)), x);
}

TEST(E4m3, EveryCodeReadsAsTheCudaHeadersReadIt) {
  for (int code = 0; code < 256; ++code) {
    __nv_fp8_e4m3 theirs;
    theirs.__x = static_cast<std::uint8_t>(code);
    const auto want = static_cast<float>(theirs);
    const float got = decode_e4m3(static_cast<std::uint8_t>(code));
    if (std::isnan(want))
      EXPECT_TRUE(std::isnan(got)) << code;
    else
      EXPECT_EQ(got, want) << code;
  }
}

TEST(E4m3, RoundsToTheNearestTiesToEvenAndSaturates) {
  Random random(1);
  for (int i = 0; i < 200'000; ++i) {
    const float x = std::ldexp(random.uniform(-1, 1), random.below(24) - 12);
    ASSERT_EQ(encode_e4m3(x), __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3)) << x;
  }
  for (const float x : {1.0625F, 1.1875F, 0.0009765625F, 0.0F, -0.0F, 448.0F, 460.0F, 464.0F, 1e30F, -1e30F})
    EXPECT_EQ(encode_e4m3(x), __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3)) << x;
  EXPECT_EQ(encode_e4m3(kInf), 0x7e);
  EXPECT_EQ(encode_e4m3(kNan) & 0x7f, 0x7f);
}

TEST(Address, RowsBeyondTwoToThe31AreReached) {
  EXPECT_EQ(row_offset(299'594, 7168), 2'147'489'792);  // the first of DeepSeek-V3's rows beyond 2^31 elements
  EXPECT_EQ(row_offset(2'147'483'647, 7168), 15'393'162'781'696);
  EXPECT_EQ(row_offset(255, row_offset(4096, 7168)), 255LL * 4096 * 7168);  // an expert's weight
  EXPECT_EQ(ceil_div((1LL << 40) + 1, 1LL << 20), (1LL << 20) + 1);
}

TEST(Deviation, SeesAWrongElementAndAMisplacedNan) {
  const std::vector<float> want = {1, -2, 3, 0};
  EXPECT_EQ(deviation(want, want).absolute, 0);
  EXPECT_EQ(deviation(want, want).cosine, 0);
  EXPECT_DOUBLE_EQ(deviation({1, -2, 3.5F, 0}, want).absolute, 0.5);
  EXPECT_GT(deviation({1, 2, 3, 0}, want).cosine, 0.1);
  EXPECT_EQ(deviation({1, -2, kNan, 0}, want).absolute, kInf);
  EXPECT_EQ(deviation({1, kNan}, std::vector<float>{1, kNan}).absolute, 0);
  EXPECT_FALSE(deviation({1}, want).is_exact);
}

}  // namespace
}  // namespace traincost::kernels
