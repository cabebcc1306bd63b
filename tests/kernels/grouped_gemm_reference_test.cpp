#include <gtest/gtest.h>

#include <kernels/common/deviation.hpp>
#include <kernels/common/random.hpp>
#include <kernels/grouped_gemm/grouped_gemm.hpp>

namespace traincost::kernels::grouped_gemm {
namespace {

double dot(const auto& a, const auto& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += to_double(a[i]) * to_double(b[i]);
  return sum;
}

// <dy, x W^T> = <dy W, x> = <dy^T x, W>, whatever the rows of each expert are; small integers make all sums exact.
TEST(GroupedGemmReference, TheThreePassesAreOneTrilinearForm) {
  const std::vector<int> counts = {3, 0, 5, 1};
  const std::vector<int> first_row = {0, 3, 4, 12};  // with gaps
  const Shape s{.num_experts = 4, .n = 16, .k = 8, .max_rows = 9};
  const auto integers = [](std::size_t count, std::uint64_t seed) {
    Random random(seed);
    std::vector<__nv_bfloat16> v(count);
    for (auto& x : v) x = __float2bfloat16(static_cast<float>(random.below(5) - 2));
    return v;
  };
  const auto zeros = [](std::size_t count) { return std::vector<__nv_bfloat16>(count, __float2bfloat16(0)); };
  const auto x = integers(13UL * 8, 1);
  const auto w = integers(4UL * 16 * 8, 2);
  const auto dy = integers(13UL * 16, 3);
  auto y = zeros(13UL * 16);
  auto dx = zeros(13UL * 8);
  std::vector<float> dw(4UL * 16 * 8, -1);
  reference(ForwardParams{s, first_row.data(), counts.data(), x.data(), w.data(), y.data()});
  reference(InputGradientParams{s, first_row.data(), counts.data(), dy.data(), w.data(), dx.data()});
  reference(WeightGradientParams{s, false, first_row.data(), counts.data(), dy.data(), x.data(), dw.data()});
  EXPECT_NE(dot(dy, y), 0);
  EXPECT_EQ(dot(dy, y), dot(dx, x));
  EXPECT_EQ(dot(dy, y), dot(dw, w));
  for (int i = 16 * 8; i < 2 * 16 * 8; ++i) EXPECT_EQ(dw[i], 0) << "an expert without rows";

  auto twice = dw;
  reference(WeightGradientParams{s, true, first_row.data(), counts.data(), dy.data(), x.data(), twice.data()});
  for (std::size_t i = 0; i < dw.size(); ++i) EXPECT_EQ(twice[i], 2 * dw[i]);
}

TEST(GroupedGemmReference, WorkedExample) {
  const std::vector<int> counts = {1};
  const std::vector<int> first_row = {0};
  std::vector<__nv_bfloat16> x(8), w(64), y(8);
  for (int i = 0; i < 8; ++i) x[i] = __float2bfloat16(static_cast<float>(i));
  for (int n = 0; n < 8; ++n)
    for (int k = 0; k < 8; ++k) w[n * 8 + k] = __float2bfloat16(n == k ? 2.0F : 0.0F);
  w[7] = __float2bfloat16(1);  // output 0 also takes input 7
  reference(ForwardParams{{.num_experts = 1, .n = 8, .k = 8, .max_rows = 1},
                          first_row.data(),
                          counts.data(),
                          x.data(),
                          w.data(),
                          y.data()});
  EXPECT_EQ(to_double(y[0]), 7);
  EXPECT_EQ(to_double(y[3]), 6);
}

}  // namespace
}  // namespace traincost::kernels::grouped_gemm
