#include <traincost/work/decode.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <kernels/common/deviation.hpp>
#include <kernels/common/random.hpp>
#include <kernels/kv_cache/kv_cache.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::kv_cache {
namespace {

using mla_decode::kLatent;
using mla_decode::kRope;
using mla_decode::token_bytes;

INSTANTIATE_TEST_SUITE_P(KvCache, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct Tokens {
  explicit Tokens(int count)
      : latent(random_bf16(static_cast<std::size_t>(count) * kLatent, -5, 5, 1)),
        rope(random_bf16(static_cast<std::size_t>(count) * kRope, -1, 1, 2)),
        slots(static_cast<std::size_t>(count)) {
    // Backwards through every second place; one token in seven is left out.
    for (int t = 0; t < count; ++t) slots[t] = t % 7 == 6 ? -1 : 2 * (count - 1 - t);
  }
  [[nodiscard]] std::size_t places() const { return 2 * slots.size() + 1; }
  [[nodiscard]] AppendParams params(bool is_fp8, void* cache) const {
    return {.tokens = static_cast<std::int64_t>(slots.size()),
            .is_fp8 = is_fp8,
            .latent = latent.data(),
            .rope = rope.data(),
            .slots = slots.data(),
            .cache = cache};
  }
  std::vector<__nv_bfloat16> latent, rope;
  std::vector<int> slots;
};

/// On the device, over a cache of 0x5a.
std::vector<std::uint8_t> appended(const Tokens& x, bool is_fp8) {
  const DeviceBuffer<__nv_bfloat16> latent(x.latent), rope(x.rope);
  const DeviceBuffer<int> slots(x.slots);
  const DeviceBuffer<std::uint8_t> cache(std::vector<std::uint8_t>(x.places() * token_bytes(is_fp8), 0x5a));
  AppendParams p = x.params(is_fp8, cache.data());
  p.latent = latent.data();
  p.rope = rope.data();
  p.slots = slots.data();
  launch(p, nullptr);
  finish();
  return cache.to_host();
}

std::vector<std::uint8_t> want(const Tokens& x, bool is_fp8) {
  std::vector<std::uint8_t> cache(x.places() * token_bytes(is_fp8), 0x5a);
  reference(x.params(is_fp8, cache.data()));
  return cache;
}

TEST_P(Schedules, AppendEqualsTheReferenceAndTouchesNothingElse) {
  for (const bool is_fp8 : {false, true})
    for (const int tokens : {0, 1, 2, 3, 31, 64, 65, 130}) {
      const Tokens x(tokens);
      ASSERT_EQ(appended(x, is_fp8), want(x, is_fp8)) << tokens << ' ' << is_fp8;
    }
}

TEST_P(Schedules, AppendOfZerosExtremesAndNonFinite) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Tokens x(8);
  const float specials[] = {0, -0.0F, 1e-38F, 3e38F, kInf, -kInf, std::numeric_limits<float>::quiet_NaN(), 1};
  for (std::size_t i = 0; i < x.latent.size(); ++i)
    x.latent[i] = __float2bfloat16(specials[i / kLatent % 8 == 0 ? 0 : i % (i / kLatent % 8 + 1)]);
  auto got = appended(x, true);
  auto expected = want(x, true);
  for (auto* bytes : {&got, &expected})  // a NaN keeps no sign
    for (std::uint8_t& b : *bytes)
      if ((b & 0x7f) == 0x7f) b = 0x7f;
  EXPECT_EQ(got, expected);
}

TEST_P(Schedules, AppendBeyondTwoToThe32Bytes) {
  for (const bool is_fp8 : {false, true}) {
    Tokens x(3);
    const auto expected = want(x, is_fp8);
    const DeviceBuffer<__nv_bfloat16> latent(x.latent), rope(x.rope);
    std::vector<int> far = x.slots;
    for (int& slot : far) slot += kFarRow;
    const DeviceBuffer<int> slots(far);
    const DeviceBuffer<std::uint8_t> cache(std::vector<std::uint8_t>(expected.size(), 0x5a));
    launch({.tokens = 3,
            .is_fp8 = is_fp8,
            .latent = latent.data(),
            .rope = rope.data(),
            .slots = slots.data(),
            .cache = shifted_back(cache.data(), kFarRow * static_cast<std::int64_t>(token_bytes(is_fp8)))},
           nullptr);
    finish();
    EXPECT_EQ(cache.to_host(), expected);
  }
}

TEST_P(Schedules, AppendMovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const bool is_fp8 : {false, true}) {
    Tokens x(256);
    std::iota(x.slots.begin(), x.slots.end(), 0);
    ptx::reset_counters();
    appended(x, is_fp8);
    const work::CacheAppend op{
        .tokens = 256,
        .cache = {.d_k = kLatent, .d_rope = kRope, .dtype = is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16}};
    EXPECT_NEAR(sector_bytes() / work::bytes(op).value, 1, 0.02) << is_fp8;
  }
}

struct RopeShape {
  int tokens, heads, dim, head_stride;
  bool is_interleaved;
};
const std::vector<RopeShape> kRopeShapes = {
    {1, 1, 8, 8, true},    {1, 1, 64, 64, true},    {3, 128, 64, 576, true},  {5, 16, 64, 192, false},
    {7, 1, 64, 64, false}, {33, 2, 128, 128, true}, {33, 2, 128, 128, false}, {2, 3, 24, 40, true},
    {4, 5, 16, 16, false}, {100, 1, 64, 576, true},
};

TEST_P(Schedules, RopeAgreesWithTheReferenceInPlaceAndOut) {
  const int positions = 300;
  for (const RopeShape& s : kRopeShapes) {
    const auto host_table = rope_table(positions, s.dim, 10000);
    Random random(3);
    std::vector<int> host_positions(static_cast<std::size_t>(s.tokens));
    for (int& m : host_positions) m = random.below(positions);
    const std::int64_t stride = static_cast<std::int64_t>(s.heads) * s.head_stride;
    auto expected = random_bf16(static_cast<std::size_t>(s.tokens * stride), -2, 2, 4);
    const DeviceBuffer<__nv_bfloat16> x(expected);
    const DeviceBuffer<float2> table(host_table);
    const DeviceBuffer<int> device_positions(host_positions);
    RopeParams p{.tokens = s.tokens,
                 .heads = s.heads,
                 .dim = s.dim,
                 .token_stride = stride,
                 .head_stride = s.head_stride,
                 .is_interleaved = s.is_interleaved,
                 .positions = device_positions.data(),
                 .table = table.data(),
                 .input = x.data(),
                 .output = x.data()};
    launch(p, nullptr);
    finish();
    p.positions = host_positions.data();
    p.table = host_table.data();
    p.input = p.output = expected.data();
    reference(p);
    const Deviation d = deviation(x.to_host(), expected);
    EXPECT_LE(d.relative, 0x1p-7) << s.dim;
    EXPECT_LE(d.cosine, 1e-7) << s.dim;
  }
}

}  // namespace
}  // namespace traincost::kernels::kv_cache
