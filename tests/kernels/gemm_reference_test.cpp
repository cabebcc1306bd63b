#include <gtest/gtest.h>

#include <algorithm>

#include <kernels/common/fp8.hpp>
#include <kernels/common/linear_layers.hpp>
#include <kernels/common/random.hpp>
#include <kernels/gemm/gemm.hpp>

namespace traincost::kernels::gemm {
namespace {

TEST(GemmReference, MultipliesRowsByRows) {
  constexpr std::size_t kSize = 16;
  std::vector<__nv_bfloat16> input(2 * kSize, __float2bfloat16(1)), weight(kSize * kSize, __float2bfloat16(0));
  input[kSize + 3] = __float2bfloat16(5);
  weight[7 * kSize + 3] = __float2bfloat16(2);
  const Bf16Params p{.shape = {2, 16, 16}, .input = input.data(), .weight = weight.data(), .scale = 0.5F};
  EXPECT_EQ(reference(p, 0, 7), 1);
  EXPECT_EQ(reference(p, 1, 7), 5);
  EXPECT_EQ(reference(p, 1, 6), 0);
}

TEST(GemmReference, ReadsCodesOfE4m3) {
  const std::vector<std::uint8_t> input(16, encode_e4m3(1.5F)), weight(16UL * 16, encode_e4m3(-2));
  const Fp8Params p{.shape = {1, 16, 16}, .input = input.data(), .weight = weight.data()};
  EXPECT_EQ(reference(p, 0, 15), -48);
}

TEST(GemmReference, BadShapesAreNamed) {
  EXPECT_THROW(validate({.m = 0, .n = 16, .k = 16}), InputError);
  EXPECT_THROW(validate({.m = 1, .n = 24, .k = 16}), InputError);
  EXPECT_THROW(validate({.m = 1, .n = 16, .k = 8}), InputError);
}

int weights(const catalog::Model& model) {
  int sum = 0;
  for (const auto& layer : linear_layers(model)) sum += layer.n * layer.k;
  return sum;
}

TEST(LinearLayers, AreThoseOfTheCatalogue) {
  const auto& models = catalog::models();
  // 4096 x (4096 + 2 x 1024), 4096 x 4096, three of 4096 x 14336.
  EXPECT_EQ(weights(*catalog::find_model(models, "llama-3-8b")), 4096 * 6144 + 4096 * 4096 + 3 * 4096 * 14336);
  const auto v3 = linear_layers(*catalog::find_model(models, "deepseek-v3"));
  const auto kv_up = std::ranges::find(v3, "kv up", &Linear::name);
  ASSERT_NE(kv_up, v3.end());
  EXPECT_EQ(kv_up->n, 128 * (128 + 128));
  EXPECT_EQ(kv_up->k, 512);
}

}  // namespace
}  // namespace traincost::kernels::gemm
