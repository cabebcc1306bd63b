// From bf16 tokens to the experts' fp8 products on Hopper: quantise, permute, multiply.
#include <traincost/work/moe.hpp>

#include <kernels/common/deviation.hpp>
#include <kernels/gemm/sm90/gemm_fp8.hpp>
#include <kernels/quantize/quantize.hpp>
#include <tests/kernels/layer_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels {
namespace {

INSTANTIATE_TEST_SUITE_P(MoeFp8, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

constexpr int kBlock = quantize::kScaleBlock;

// Widths around the block of 128 and the 2048 elements that a thread block holds.
const std::vector<LayerShape> kShapes = {
    {0, 8, 16, 1, 16},
    {1, 1, 1, 1, 16},
    {1, 8, 256, 1, 7168},
    {1, 16, 512, 16, 128},
    {2, 2, 8, 1, 4096},
    {3, 8, 8, 128, 144},
    {5, 1, 4, 1, 112},
    {7, 3, 61, 1, 208},
    {13, 5, 31, 64, 1040},
    {17, 4, 32, 16, 2880, Ids::one_hot},
    {31, 8, 64, 128, 256, Ids::skewed},
    {97, 6, 64, 1, 48, Ids::some_absent},
    {64, 1, 16, 128, 512},
    {101, 7, 127, 8, 112, Ids::skewed},
    {128, 8, 256, 1, 64},
    {150, 8, 384, 32, 32, Ids::some_absent},
    {257, 8, 8, 4, 80},
    {130, 4, 128, 128, 16, Ids::one_hot},
    {200, 3, 3, 1, 32},
    {9, 2, 4, 1, 2048},
    {9, 2, 4, 1, 2064},
};

struct Fp8Rows {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;  // [hidden / 128, stride]
  std::int64_t stride = 0;
};

Fp8Rows untouched(std::int64_t rows, int hidden) {
  const std::int64_t stride = ceil_div(std::max<std::int64_t>(rows, 1), 4) * 4;
  return {std::vector<std::uint8_t>(static_cast<std::size_t>(rows * hidden), 0x11),
          std::vector<float>(static_cast<std::size_t>(stride * ceil_div(hidden, kBlock)), -1), stride};
}

template <class Rows>
moe_permute::QuantizeParams params(const LayerShape& s, const int* row_of_slot, const __nv_bfloat16* input,
                                   std::int64_t stride, Rows& codes, float* scales) {
  return {.tokens = s.tokens,
          .topk = s.topk,
          .hidden = s.hidden,
          .scale_stride = stride,
          .row_of_slot = row_of_slot,
          .input = input,
          .output = codes.data(),
          .scales = scales};
}

Fp8Rows fused(const LayerShape& s, const Order& o, const std::vector<__nv_bfloat16>& x) {
  Fp8Rows rows = untouched(static_cast<std::int64_t>(o.slot_of_row.size()), s.hidden);
  const DeviceBuffer<__nv_bfloat16> input(x);
  const DeviceBuffer<int> row_of_slot(o.row_of_slot);
  const DeviceBuffer<std::uint8_t> codes(rows.codes);
  const DeviceBuffer<float> scales(rows.scales);
  moe_permute::launch(params(s, row_of_slot.data(), input.data(), rows.stride, codes, scales.data()), nullptr);
  finish();
  rows.codes = codes.to_host();
  rows.scales = scales.to_host();
  return rows;
}

Fp8Rows reference_fused(const LayerShape& s, const Order& o, const std::vector<__nv_bfloat16>& x) {
  Fp8Rows rows = untouched(static_cast<std::int64_t>(o.slot_of_row.size()), s.hidden);
  moe_permute::reference(params(s, o.row_of_slot.data(), x.data(), rows.stride, rows.codes, rows.scales.data()));
  return rows;
}

TEST_P(Schedules, PermuteWithQuantizeEqualsTheReference) {
  for (const LayerShape& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.tokens << " tokens, top " << s.topk << ", hidden " << s.hidden);
    const Order o = order_of(s);
    const auto x = tokens_of(s, 2);
    const Fp8Rows got = fused(s, o, x);
    const Fp8Rows want = reference_fused(s, o, x);
    ASSERT_EQ(got.codes, want.codes);
    ASSERT_EQ(got.scales, want.scales);
  }
}

TEST_P(Schedules, PermuteWithQuantizeMovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const LayerShape s{64, 8, 16, 1, 7168};
  ptx::reset_counters();
  fused(s, order_of(s), tokens_of(s, 2));
  const double rows = 64 * 8;
  const double bytes = 64.0 * 7168 * 2 + rows * (7168 + 7168.0 / kBlock * 4 + 4);
  EXPECT_NEAR(sector_bytes() / bytes, 1, 0.01);
}

// The table of kernels/moe_permute/README.md.
TEST(MoeFp8Traffic, OfTheWaysToExpertOrderedRows) {
  constexpr double kTokens = 4096, kTopk = 8, kHidden = 7168;
  constexpr double kAsBf16 = kTokens * kHidden * 2;
  constexpr double kAsFp8 = kTokens * kHidden * (1 + 4.0 / kBlock);
  constexpr double kMega = 1e6;
  const double quantise = kAsBf16 + kAsFp8;
  const double permute = kAsFp8 * (1 + kTopk);
  const double fused = kAsBf16 + kTopk * kAsFp8;
  EXPECT_NEAR((quantise + permute) / kMega, 361.5, 0.05);
  EXPECT_NEAR(fused / kMega, 300.9, 0.05);
  EXPECT_NEAR(quantise / kMega, 89.0, 0.05);
  constexpr double kMemory = 3.35e12, kPeak = 1979e12;  // H100: bytes a second, dense fp8 FLOP a second
  EXPECT_NEAR((fused - quantise) / kMemory * 1e6, 63, 0.5);
  EXPECT_NEAR(2.0 * 8 * 4096 * 4096 * 7168 / kPeak * 1e6, 972, 0.5);
  // A step's rows of both operands and scales: half of the first by multicast, or all of it.
  EXPECT_EQ((64 + 192) * 128 + 128 * 4, 33280);
  EXPECT_EQ((128 + 192) * 128 + 128 * 4, 41472);
}

/// weights [experts, n, k] as e4m3 with a scale per 128 x 128, by the kernel.
struct Weights {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
};
Weights quantized_weights(int experts, int n, int k) {
  Weights w;
  for (int e = 0; e < experts; ++e) {
    const DeviceBuffer<__nv_bfloat16> bf16(random_bf16(static_cast<std::size_t>(n) * k, -1, 1, 10 + e));
    const DeviceBuffer<std::uint8_t> codes(static_cast<std::size_t>(n) * k);
    const DeviceBuffer<float> scales(static_cast<std::size_t>(ceil_div(n, kBlock) * ceil_div(k, kBlock)));
    quantize::launch({n, k, kBlock, bf16.data(), codes.data(), scales.data()}, nullptr);
    finish();
    const auto host_codes = codes.to_host();
    const auto host_scales = scales.to_host();
    w.codes.insert(w.codes.end(), host_codes.begin(), host_codes.end());
    w.scales.insert(w.scales.end(), host_scales.begin(), host_scales.end());
  }
  return w;
}

void expect_near(const std::vector<__nv_bfloat16>& got, const std::vector<__nv_bfloat16>& want) {
  const Deviation d = deviation(got, want);
  EXPECT_LE(d.relative, 0x1p-7);
  EXPECT_LE(d.cosine, 1e-8);
}

// Routed tokens to an expert layer's output, each buffer as the kernel before left it on the device.
TEST_P(Schedules, RoutedTokensReachTheGroupedProduct) {
  for (const LayerShape& s : {LayerShape{40, 2, 3, 1, 272}, {70, 4, 8, 128, 128, Ids::skewed}}) {
    constexpr int kN = 200;
    const Order o = order_of(s);
    const auto rows = static_cast<std::int64_t>(o.slot_of_row.size());
    const std::int64_t stride = untouched(rows, s.hidden).stride;
    const Weights w = quantized_weights(s.num_experts, kN, s.hidden);
    const DeviceBuffer<__nv_bfloat16> input(tokens_of(s, 2));
    const DeviceBuffer<int> row_of_slot(o.row_of_slot), first(o.offsets), counts(o.counts);
    const DeviceBuffer<std::uint8_t> codes(std::vector<std::uint8_t>(static_cast<std::size_t>(rows) * s.hidden)),
        weight(w.codes);
    const DeviceBuffer<float> scales(
        std::vector<float>(static_cast<std::size_t>(stride * ceil_div(s.hidden, kBlock)), -1)),
        weight_scales(w.scales);
    std::vector<__nv_bfloat16> want(static_cast<std::size_t>(rows) * kN, __float2bfloat16(kUntouched));
    const DeviceBuffer<__nv_bfloat16> output(want);
    grouped_gemm::sm90::Fp8Params p{.shape = {s.num_experts, kN, s.hidden, rows},
                                    .rows = rows,
                                    .first_row = first.data(),
                                    .counts = counts.data(),
                                    .input = codes.data(),
                                    .input_scales = scales.data(),
                                    .scale_stride = stride,
                                    .weight = weight.data(),
                                    .weight_scales = weight_scales.data(),
                                    .output = output.data()};
    moe_permute::launch(params(s, row_of_slot.data(), input.data(), stride, codes, scales.data()), nullptr);
    grouped_gemm::sm90::launch(p, nullptr);
    finish();
    const Fp8Rows quantized = reference_fused(s, o, tokens_of(s, 2));
    p.first_row = o.offsets.data();
    p.counts = o.counts.data();
    p.input = quantized.codes.data();
    p.input_scales = quantized.scales.data();
    p.weight = w.codes.data();
    p.weight_scales = w.scales.data();
    p.output = want.data();
    grouped_gemm::sm90::reference(p);
    expect_near(output.to_host(), want);
  }
}

// quantize's scales by columns are those that the dense product takes.
TEST_P(Schedules, QuantizedActivationsReachTheDenseProduct) {
  constexpr int kM = 70, kN = 136, kK = 272;
  constexpr std::int64_t kStride = 72, kBlocks = 3;
  const Weights w = quantized_weights(1, kN, kK);
  const auto x = random_bf16(static_cast<std::size_t>(kM) * kK, -2, 2, 4);
  const DeviceBuffer<__nv_bfloat16> input(x), output(static_cast<std::size_t>(kM) * kN);
  const DeviceBuffer<std::uint8_t> codes(x.size()), weight(w.codes);
  const DeviceBuffer<float> scales(static_cast<std::size_t>(kStride * kBlocks)), weight_scales(w.scales);
  TRAINCOST_CUDA_CHECK(cudaMemset(scales.data(), 0xff, scales.bytes()));
  quantize::launch({kM, kK, 1, input.data(), codes.data(), scales.data(), kStride}, nullptr);
  gemm::sm90::launch(
      {kM, kN, kK, codes.data(), scales.data(), kStride, weight.data(), weight_scales.data(), output.data()}, nullptr);
  finish();
  std::vector<std::uint8_t> want_codes(x.size());
  std::vector<float> want_scales(static_cast<std::size_t>(kStride * kBlocks));
  quantize::reference({kM, kK, 1, x.data(), want_codes.data(), want_scales.data(), kStride});
  std::vector<__nv_bfloat16> want(output.size());
  gemm::sm90::reference(
      {kM, kN, kK, want_codes.data(), want_scales.data(), kStride, w.codes.data(), w.scales.data(), want.data()});
  expect_near(output.to_host(), want);
}

}  // namespace
}  // namespace traincost::kernels
