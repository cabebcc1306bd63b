#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <kernels/common/random.hpp>
#include <kernels/mla_decode/reference.hpp>

namespace traincost::kernels::mla_decode {
namespace {

std::vector<double> draw(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values(count);
  for (double& x : values) x = static_cast<double>(random.next() >> 11) * 0x1p-52 - 1;
  return values;
}

ExpandedProblem problem(int s_q, int h_q, int length, bool is_causal) {
  constexpr int kNope = 128, kValue = 128;
  const std::size_t rows = static_cast<std::size_t>(s_q) * h_q;
  return {.s_q = s_q,
          .h_q = h_q,
          .d_nope = kNope,
          .d_v = kValue,
          .is_causal = is_causal,
          .sm_scale = 1 / std::sqrt(192.0),
          .q_nope = draw(rows * kNope, 1),
          .q_rope = draw(rows * kRope, 2),
          .key_up = draw(static_cast<std::size_t>(h_q) * kNope * kLatent, 3),
          .value_up = draw(static_cast<std::size_t>(h_q) * kValue * kLatent, 4),
          .keys = draw(static_cast<std::size_t>(length) * kKeyDim, 5)};
}

TEST(MlaDecodeReference, ExpandedAndAbsorbedAgree) {
  for (const auto& [s_q, h_q, length] : {std::array{1, 1, 1}, {1, 3, 70}, {2, 2, 65}, {4, 1, 33}, {3, 2, 1}, {1, 2, 0}})
    for (const bool is_causal : {false, true}) {
      const auto p = problem(s_q, h_q, length, is_causal);
      const auto a = expanded(p);
      const auto b = expanded_by_absorption(p);
      ASSERT_EQ(a.size(), b.size());
      double largest = 0;
      for (std::size_t row = 0; row < a.size(); ++row) {
        if (std::isfinite(a[row].lse) || std::isfinite(b[row].lse)) {
          EXPECT_NEAR(a[row].lse, b[row].lse, 1e-12 * std::max(1.0, std::fabs(a[row].lse)));
        }
        for (const double x : a[row].out) largest = std::max(largest, std::fabs(x));
        for (std::size_t c = 0; c < a[row].out.size(); ++c)
          EXPECT_NEAR(a[row].out[c], b[row].out[c], 1e-12 * largest) << s_q << ' ' << h_q << ' ' << length;
      }
    }
}

TEST(MlaDecodeReference, OneTokenIsItsOwnAnswer) {
  AbsorbedProblem p{.s_q = 2, .h_q = 1, .is_causal = true, .sm_scale = 1, .q = draw(2UL * kKeyDim, 6), .keys = {}};
  p.keys = draw(kKeyDim, 7);
  const auto results = absorbed(p);
  EXPECT_EQ(results[0].lse, -std::numeric_limits<double>::infinity()) << "the first of two queries sees nothing";
  for (const double x : results[0].out) EXPECT_EQ(x, 0);
  double score = 0;
  for (int i = 0; i < kKeyDim; ++i) score += p.q[kKeyDim + i] * p.keys[i];
  EXPECT_NEAR(results[1].lse, score, 1e-12);
  for (int c = 0; c < kLatent; ++c) EXPECT_EQ(results[1].out[c], p.keys[c]);
}

TEST(MlaDecodeReference, EqualKeysGiveTheirMeanValue) {
  AbsorbedProblem p{.s_q = 1, .h_q = 1, .is_causal = false, .sm_scale = 0, .q = draw(kKeyDim, 8), .keys = {}};
  p.keys = draw(5UL * kKeyDim, 9);
  const auto results = absorbed(p);
  EXPECT_NEAR(results[0].lse, std::log(5.0), 1e-14);
  for (int c = 0; c < kLatent; ++c) {
    double mean = 0;
    for (int t = 0; t < 5; ++t) mean += p.keys[t * kKeyDim + c] / 5;
    EXPECT_NEAR(results[0].out[c], mean, 1e-14);
  }
}

}  // namespace
}  // namespace traincost::kernels::mla_decode
