#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include <kernels/common/random.hpp>
#include <kernels/kv_cache/kv_cache.hpp>
#include <kernels/mla_decode/reference.hpp>

namespace traincost::kernels::kv_cache {
namespace {

TEST(KvCacheReference, TheDecoderReadsBackWhatWasAppended) {
  constexpr std::size_t kTokens = 70;
  const auto latent = random_bf16(kTokens * mla_decode::kLatent, -3, 3, 1);
  const auto rope = random_bf16(kTokens * mla_decode::kRope, -3, 3, 2);
  const std::vector<int> table{2, 0}, lengths{kTokens};
  std::vector<int> slots;
  for (int t = 0; t < lengths[0]; ++t) slots.push_back(table[t / 64] * 64 + t % 64);
  for (const bool is_fp8 : {false, true}) {
    std::vector<std::uint8_t> cache(3UL * 64 * mla_decode::kKeyDim * 2, 0xff);
    reference({.tokens = lengths[0],
               .is_fp8 = is_fp8,
               .latent = latent.data(),
               .rope = rope.data(),
               .slots = slots.data(),
               .cache = cache.data()});
    mla_decode::Params p;
    p.max_pages = 2;
    p.is_fp8 = is_fp8;
    p.cache = cache.data();
    p.block_table = table.data();
    p.lengths = lengths.data();
    const auto keys = mla_decode::cached_keys(p, 0);
    for (std::size_t t = 0; t < kTokens; ++t)
      for (int c = 0; c < mla_decode::kKeyDim; ++c) {
        const bool is_latent = c < mla_decode::kLatent;
        const double x = __bfloat162float(is_latent ? latent[t * mla_decode::kLatent + c]
                                                    : rope[t * mla_decode::kRope + c - mla_decode::kLatent]);
        // Half a step of e4m3: 2^-4 of a normal number, 2^-10 of a scale of 3 / 448 at most below.
        const double step = is_fp8 && is_latent ? std::max(std::fabs(x) / 16, 3.0 / 448 / 1024) * (1 + 1e-6) : 0;
        ASSERT_NEAR(keys[t * mla_decode::kKeyDim + c], x, step) << t << ' ' << c;
      }
  }
}

double dot_of_turned(const std::vector<__nv_bfloat16>& x, int at_x, const std::vector<__nv_bfloat16>& y, int at_y,
                     bool is_interleaved) {
  constexpr int kDim = 64;
  static const auto table = rope_table(1000, kDim, 10000);
  const auto turned = [&](const std::vector<__nv_bfloat16>& v, int at) {
    auto out = v;
    reference({.tokens = 1,
               .heads = 1,
               .dim = kDim,
               .token_stride = kDim,
               .head_stride = kDim,
               .is_interleaved = is_interleaved,
               .positions = &at,
               .table = table.data(),
               .input = v.data(),
               .output = out.data()});
    return out;
  };
  const auto a = turned(x, at_x);
  const auto b = turned(y, at_y);
  double sum = 0;
  for (int i = 0; i < kDim; ++i) sum += static_cast<double>(__bfloat162float(a[i])) * __bfloat162float(b[i]);
  return sum;
}

TEST(KvCacheReference, RopeKeepsTheProductOfEqualDistances) {
  const auto x = random_bf16(64, -1, 1, 3);
  const auto y = random_bf16(64, -1, 1, 4);
  for (const bool is_interleaved : {false, true}) {
    const double near = dot_of_turned(x, 7, y, 0, is_interleaved);
    EXPECT_NEAR(dot_of_turned(x, 907, y, 900, is_interleaved), near, 0.05);  // results are rounded to bf16
    EXPECT_GT(std::fabs(dot_of_turned(x, 100, y, 0, is_interleaved) - near), 0.2) << "the distance must matter";
  }
}

TEST(KvCacheReference, PositionZeroTurnsNothing) {
  const auto x = random_bf16(64, -1, 1, 5);
  EXPECT_EQ(dot_of_turned(x, 0, x, 0, true), dot_of_turned(x, 0, x, 0, false));
  const auto table = rope_table(131073, 64, 10000);
  EXPECT_FLOAT_EQ(table[131072UL * 32].x, static_cast<float>(std::cos(131072.0)));
}

}  // namespace
}  // namespace traincost::kernels::kv_cache
