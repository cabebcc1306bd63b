#include <algorithm>
#include <cmath>

#include <traincost/work/decode.hpp>

#include <kernels/kv_cache/random_tokens.hpp>
#include <kernels/mla_decode/mla_decode.hpp>
#include <tests/kernels/decode_problem.hpp>
#include <tests/kernels/mla_tested.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::mla_decode {
namespace {

INSTANTIATE_TEST_SUITE_P(MlaDecode, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct DecodeShape {
  int s_q, h_q;
  std::vector<int> lengths;
  bool is_fp8 = false, is_causal = true;
  int num_parts = 3;
};

// Lengths around the tile of 32 and the page of 64, sequences shorter than s_q, rows around the tiles of 16 and 64.
const std::vector<DecodeShape> kShapes = {
    {1, 1, {1}},
    {1, 1, {0}},
    {1, 16, {33}},
    {1, 16, {64, 0, 1}},
    {1, 5, {127}, false, true, 1},
    {1, 16, {300}, false, true, 9},
    {1, 16, {31, 32, 65, 128}},
    {2, 8, {1, 2, 97}},
    {4, 3, {2, 70}},
    {4, 4, {66, 3}, false, false},
    {1, 17, {40}},
    {1, 63, {65}, false, true, 2},
    {1, 64, {130}, false, true, 1},
    {3, 40, {100}, false, true, 2},
    {1, 128, {97}, false, true, 1},
    {1, 9, {0, 0, 0}},
    {1, 1, {1}, true},
    {1, 16, {0, 33}, true},
    {1, 12, {200}, true, true, 5},
    {2, 8, {64, 1}, true},
    {4, 4, {3, 95}, true, false},
    {1, 64, {70}, true, true, 1},
    {2, 33, {40, 2}, true, true, 2},
    {1, 126, {65}, true, true, 2},
    {4, 35, {66}, false, true, 1},
    {1, 128, {300, 0, 130}, false, true, 4},
};

constexpr double kFp8LseTolerance = 3e-3;

struct Host {
  explicit Host(const DecodeShape& s, Pages order = Pages::shuffled, float range = 1)
      : shape(s),
        layout(paging(s.lengths, order)),
        q(random_bf16(s.lengths.size() * s.s_q * s.h_q * kKeyDim, -range, range, 1)) {
    // 0xff in every byte is NaN as bf16, as e4m3 and as fp32.
    cache = paged<std::uint8_t>(kv_cache::random_tokens(static_cast<std::size_t>(total(s.lengths)), s.is_fp8),
                                token_bytes(), s.lengths, layout, 0xff);
  }
  [[nodiscard]] int token_bytes() const { return mla_decode::token_bytes(shape.is_fp8); }
  [[nodiscard]] std::size_t rows() const { return shape.lengths.size() * shape.s_q * shape.h_q; }

  DecodeShape shape;
  Paging layout;
  std::vector<__nv_bfloat16> q;
  std::vector<std::uint8_t> cache;
};

Params params(const Host& h) {
  return {.b = static_cast<int>(h.shape.lengths.size()),
          .s_q = h.shape.s_q,
          .h_q = h.shape.h_q,
          .max_pages = h.layout.max_pages,
          .is_fp8 = h.shape.is_fp8,
          .is_causal = h.shape.is_causal,
          .sm_scale = 0.0721687836F};  // 1 / sqrt(192): of the expanded head
}

/// With a block table [b, any] of pages from `first_page` on.
DecodeOutputs run(const Host& h, const split_kv::DevicePlan& plan, const std::vector<int>& block_table,
                  int first_page = 0) {
  const DeviceBuffer<__nv_bfloat16> q(h.q), out(h.rows() * kLatent);
  const DeviceBuffer<std::uint8_t> cache(h.cache);
  const DeviceBuffer<int> table(block_table);
  const DeviceBuffer<float> lse(h.rows());
  Params p = params(h);
  p.max_pages = static_cast<int>(block_table.size()) / p.b;
  p.q = q.data();
  p.cache = shifted_back(cache.data(), row_offset(first_page, split_kv::kPageTokens) * h.token_bytes());
  p.block_table = table.data();
  plan.fill(p);
  p.out = out.data();
  p.lse = lse.data();
  tested(p.is_fp8).launch(p, nullptr);
  finish();
  expect_written(out);
  expect_written(lse);
  return {out.to_host(), lse.to_host(), plan.slots()};
}

DecodeOutputs run(const Host& h) {
  const split_kv::DevicePlan plan(h.shape.lengths, h.shape.num_parts,
                                  static_cast<std::size_t>(h.shape.s_q) * h.shape.h_q, kLatent);
  finish();
  ptx::reset_counters();
  return run(h, plan, h.layout.table);
}

DecodeOutputs want(const Host& h) {
  DecodeOutputs o{std::vector<__nv_bfloat16>(h.rows() * kLatent), std::vector<float>(h.rows())};
  Params p = params(h);
  p.q = h.q.data();
  p.cache = h.cache.data();
  p.block_table = h.layout.table.data();
  p.lengths = h.shape.lengths.data();
  p.out = o.out.data();
  p.lse = o.lse.data();
  reference(p);
  return o;
}

work::PagedDecode work_of(const DecodeShape& s, int partial_results) {
  const auto b = static_cast<double>(s.lengths.size());
  return {.decode = {.b = b,
                     .s_q = static_cast<double>(s.s_q),
                     .s_kv = static_cast<double>(total(s.lengths)) / b,
                     .h_q = static_cast<double>(s.h_q),
                     .h_kv = 1,
                     .d_qk = kKeyDim,
                     .d_v = kLatent,
                     .values_in_keys = true},
          .cache = {.d_k = kLatent, .d_rope = kRope, .dtype = s.is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16},
          .page_tokens = split_kv::kPageTokens,
          .partial_results = static_cast<double>(partial_results)};
}

/// Tokens behind the ends of sequences that the kernel reads, too.
std::int64_t unused_tokens(const DecodeShape& s) {
  if (!tested(s.is_fp8).has_whole_pages) return 0;
  std::int64_t unused = 0;
  for (const int length : s.lengths)
    unused += (split_kv::kPageTokens - length % split_kv::kPageTokens) % split_kv::kPageTokens;
  return unused;
}

testing::Message describe(const DecodeShape& s) {
  return testing::Message() << (s.is_fp8 ? "fp8" : "bf16") << " s_q " << s.s_q << ", h_q " << s.h_q << ", lengths "
                            << testing::PrintToString(s.lengths) << ", parts " << s.num_parts;
}

TEST_P(Schedules, AgreesWithTheReference) {
  for (const DecodeShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const Host h(s);
    expect_near(run(h), want(h), s.is_fp8 ? kFp8DecodeTolerance : kDecodeTolerance,
                s.is_fp8 ? kFp8LseTolerance : kLseTolerance);
  }
}

TEST_P(Schedules, PagesInAnyOrderGiveTheSameBits) {
  for (const bool is_fp8 : {false, true}) {
    const DecodeShape s{1, 16, {200, 70}, is_fp8};
    EXPECT_TRUE(are_same(run(Host(s, Pages::in_order)), run(Host(s, Pages::shuffled)))) << is_fp8;
  }
}

// 33 pages make nine parts that are worth while: every count up to it, and a plan that offers more.
TEST_P(Schedules, AnyNumberOfSplitsAgrees) {
  constexpr int kMostParts = 9;
  for (const bool is_fp8 : {false, true}) {
    const bool is_full = GetParam().order == ptx::Order::kForward && !is_fp8;
    const auto counts = is_full ? std::vector<int>{2, 3, 4, 5, 6, 7, 8, 9, 100} : std::vector<int>{4};
    DecodeShape s{2, 2, {2100}, is_fp8, true, 1};
    const DecodeOutputs whole = run(Host(s));
    EXPECT_EQ(whole.slots, 0);
    const DecodeOutputs expected = want(Host(s));
    for (const int num_parts : counts) {
      s.num_parts = num_parts;
      SCOPED_TRACE(describe(s));
      const DecodeOutputs cut = run(Host(s));
      EXPECT_EQ(cut.slots, std::min(num_parts, kMostParts));
      expect_near(cut, expected, is_fp8 ? kFp8DecodeTolerance : kDecodeTolerance,
                  is_fp8 ? kFp8LseTolerance : kLseTolerance);
      // Against the whole: probabilities are rounded to bf16 under other maxima, then the results.
      EXPECT_LE(deviation(cut.out, whole.out).cosine, kDecodeTolerance.cosine);
      EXPECT_LE(deviation(cut.lse, whole.lse).absolute, 4e-6);
    }
  }
}

// Scores up to some 2e5: the softmax is one-hot and the sum of exponentials would overflow without its maximum.
TEST_P(Schedules, VeryLargeLogits) {
  for (const bool is_fp8 : {false, true}) {
    const DecodeShape s{1, 8, {150, 40}, is_fp8};
    const Host h(s, Pages::shuffled, 3e5);
    const DecodeOutputs got = run(h);
    const DecodeOutputs expected = want(h);
    for (const float lse : expected.lse) EXPECT_GT(lse, 1e5F);
    // fp8: a key's rounding to bf16 times 1e5 may choose another token; the log-sum-exp must still be right.
    if (!is_fp8) EXPECT_LE(deviation(got.out, expected.out).cosine, 5e-6);
    EXPECT_LE(deviation(got.lse, expected.lse).relative, is_fp8 ? 2e-3 : 1e-6);
    EXPECT_TRUE(std::ranges::all_of(got.out, [](__nv_bfloat16 x) { return std::isfinite(to_double(x)); }));
  }
}

// A NaN in the cache must show.
TEST_P(Schedules, NotANumberIsNotHidden) {
  for (const bool is_fp8 : {false, true}) {
    const DecodeShape s{1, 1, {40}, is_fp8};
    Host h(s, Pages::in_order);
    std::fill_n(h.cache.begin() + row_offset(7, h.token_bytes()), 2, std::uint8_t{0xff});
    EXPECT_TRUE(std::isnan(run(h).lse[0])) << is_fp8;
  }
}

/// The last physical page of the cache, whose first elements lie far beyond 2^32 bytes; one small buffer is all there
/// is.
constexpr int kFarPage = 100'000;

TEST_P(Schedules, PagesBeyondTwoToThe32Bytes) {
  for (const bool is_fp8 : {false, true}) {
    const Host h(DecodeShape{1, 3, {50}, is_fp8, true, 1}, Pages::in_order);
    const split_kv::DevicePlan plan(h.shape.lengths, 1, h.rows(), kLatent);
    expect_near(run(h, plan, {kFarPage, kWildPage}, kFarPage), want(h), is_fp8 ? kFp8DecodeTolerance : kDecodeTolerance,
                is_fp8 ? kFp8LseTolerance : kLseTolerance);
  }
}

// 131,072 tokens of one physical page, 2,048 times: the answer is that of the page alone, its lse higher by log 2048.
TEST(MlaDecodeLong, OneHundredThirtyOneThousandTokens) {
  constexpr int kPages = 131'072 / split_kv::kPageTokens;
  ptx::Options options;
  options.counters = false;
  options.checks.races = false;
  ptx::set_options(options);
  const Host h(DecodeShape{1, 2, {64}, false, true, 1}, Pages::in_order);
  const std::vector<int> lengths{131'072};
  const split_kv::DevicePlan plan(lengths, 66, h.rows(), kLatent);
  DecodeOutputs expected = want(h);
  for (float& x : expected.lse) x += std::log(static_cast<float>(kPages));
  expect_near(run(h, plan, std::vector<int>(kPages, 0)), expected, kDecodeTolerance, kLseTolerance);
}

// Every token crosses the memory once: the sectors of loads beside queries and partial results are those of the cache,
// though two query tiles read it. With the parts that two cards have room for.
TEST(MlaDecodeTraffic, TheCacheIsReadOnce) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const int sm_count : {108, 132})
    for (const int h_q : {16, 128})
      for (const bool is_fp8 : {false, true}) {
        DecodeShape s{1, h_q, {700, 257, 62, 1, 400}, is_fp8};
        s.num_parts = tested(is_fp8).num_parts(s.s_q, h_q, sm_count);
        SCOPED_TRACE(testing::Message() << describe(s) << ", " << sm_count << " SMs");
        ptx::set_options({});
        const Host h(s);
        const DecodeOutputs got = run(h);
        const work::PagedDecode work = work_of(s, got.slots);
        const double token_bytes = work::bytes_per_token(work.cache).value;
        const double unused = static_cast<double>(unused_tokens(s)) * token_bytes;
        const double cache = static_cast<double>(total(s.lengths)) * token_bytes;
        const double others = static_cast<double>(h.rows()) * kKeyDim * 2 + work::partial_bytes(work).value / 2;
        const ptx::Counters& seen = counted();
        const double distinct = 32.0 * static_cast<double>(seen.global_loads.distinct_sectors) - others - unused;
        EXPECT_LE(distinct / cache, 1.05);
        EXPECT_GE(distinct / cache, 0.98);
        // Everything, partial results written and read once, is what the case counts.
        const double stored = 32.0 * static_cast<double>(seen.global_stores.distinct_sectors);
        EXPECT_NEAR((distinct + others + stored) / work::bytes(work).value, 1, 0.03);
      }
}

// Distinct sectors would hide a tile that a block reads twice: of one part, each query tile asks for the cache once.
TEST(MlaDecodeTraffic, EachQueryTileAsksForTheCacheOnce) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const bool is_fp8 : {false, true}) {
    const DecodeShape s{1, 128, {500}, is_fp8, true, 1};
    ptx::set_options({});
    const Host h(s);
    run(h);
    const double cache = static_cast<double>(500 + unused_tokens(s)) * h.token_bytes() * tested(is_fp8).asked_per_byte;
    const double queries = static_cast<double>(h.rows()) * kKeyDim * 2;
    const double asked = 32.0 * static_cast<double>(counted().global_loads.sectors);
    EXPECT_NEAR(asked / (2 * cache + queries), 1, 0.07) << is_fp8;  // lengths and tables are read by every warp
  }
}

TEST(MlaDecodeTraffic, SharedMemoryHasFewBankConflicts) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const int h_q : {16, 64})
    for (const bool is_fp8 : {false, true}) {
      ptx::set_options({});
      run(Host(DecodeShape{1, h_q, {256}, is_fp8, true, 1}));
      const auto shared = counted().shared;
      const double ratio = static_cast<double>(shared.wavefronts) / static_cast<double>(shared.ideal_wavefronts);
      EXPECT_LE(ratio, 1.10) << h_q << ' ' << is_fp8;
      EXPECT_GT(counted().instructions(ptx::Class::kMatrix), 0U);
    }
}

}  // namespace
}  // namespace traincost::kernels::mla_decode
