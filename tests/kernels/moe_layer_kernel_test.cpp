// Index, permute and combine as PTX.
#include <traincost/work/moe.hpp>

#include <algorithm>
#include <limits>

#include <kernels/common/deviation.hpp>
#include <kernels/common/moe_rows.hpp>
#include <tests/kernels/layer_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels {
namespace {

INSTANTIATE_TEST_SUITE_P(MoeLayer, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

// None, one, primes, powers of two, one hot expert, experts elsewhere; more than one chunk of the index (2048 slots).
const std::vector<LayerShape> kShapes = {
    {0, 8, 16, 1, 16},
    {0, 8, 16, 128, 16},
    {1, 1, 1, 1, 16},
    {1, 8, 256, 1, 7168},
    {1, 16, 512, 16, 128},
    {2, 2, 8, 1, 4096},
    {7, 3, 61, 1, 208},
    {13, 5, 31, 64, 1040},
    {64, 4, 32, 16, 2880, Ids::one_hot},
    {31, 8, 256, 128, 256, Ids::skewed},
    {97, 6, 64, 1, 48, Ids::some_absent},
    {128, 1, 16, 128, 512},
    {101, 7, 127, 8, 112, Ids::skewed},
    {256, 8, 256, 1, 64},
    {300, 8, 384, 32, 32, Ids::some_absent},
    {257, 8, 8, 4, 80},
    {521, 4, 128, 128, 16, Ids::one_hot},
    {683, 3, 3, 1, 32},
    {1024, 8, 256, 128, 16},
    {1009, 6, 160, 2, 16, Ids::skewed},
    {700, 16, 512, 16, 16, Ids::some_absent},
    {2500, 2, 60, 1, 16},
};

Order device_order(const std::vector<int>& ids, int num_experts, int alignment) {
  const auto slots = static_cast<std::int64_t>(ids.size());
  const DeviceBuffer<int> device_ids(ids);
  const DeviceBuffer<int> counts(static_cast<std::size_t>(num_experts));
  const DeviceBuffer<int> offsets(static_cast<std::size_t>(num_experts) + 1);
  const DeviceBuffer<int> row_of_slot(ids.size());
  const DeviceBuffer<int> slot_of_row(static_cast<std::size_t>(moe_index::row_capacity(slots, num_experts, alignment)));
  const DeviceBuffer<char> workspace(moe_index::workspace_bytes(slots, num_experts));
  moe_index::launch({.slots = slots,
                     .num_experts = num_experts,
                     .alignment = alignment,
                     .ids = device_ids.data(),
                     .counts = counts.data(),
                     .offsets = offsets.data(),
                     .row_of_slot = row_of_slot.data(),
                     .slot_of_row = slot_of_row.data(),
                     .workspace = workspace.data()},
                    nullptr);
  finish();
  for (const auto* output : {&counts, &offsets, &row_of_slot, &slot_of_row}) expect_written(*output);
  return {counts.to_host(), offsets.to_host(), row_of_slot.to_host(), slot_of_row.to_host()};
}

TEST_P(Schedules, IndexEqualsTheReference) {
  for (const LayerShape& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.tokens << " tokens, top " << s.topk << " of " << s.num_experts);
    const auto ids = ids_of(s);
    ASSERT_EQ(device_order(ids, s.num_experts, s.alignment), reference_order(ids, s.num_experts, s.alignment));
  }
}

TEST_P(Schedules, IndexIgnoresIdsThatAreNoExperts) {
  const std::vector<int> ids = {0, 4, -1, 3, std::numeric_limits<int>::max(), std::numeric_limits<int>::min(), 3, 1};
  const Order o = device_order(ids, 4, 1);
  EXPECT_EQ(o, reference_order(ids, 4, 1));
  EXPECT_EQ(o.counts, (std::vector<int>{1, 1, 0, 2}));
}

/// The permuted rows; what permute leaves alone keeps kUntouched.
std::vector<__nv_bfloat16> device_permute(const std::vector<__nv_bfloat16>& x, const Order& o, const LayerShape& s) {
  const DeviceBuffer<__nv_bfloat16> input(x);
  const DeviceBuffer<int> rows(o.row_of_slot);
  const DeviceBuffer<__nv_bfloat16> output(
      std::vector<__nv_bfloat16>(o.slot_of_row.size() * s.hidden, __float2bfloat16(kUntouched)));
  moe_permute::launch({.tokens = s.tokens,
                       .topk = s.topk,
                       .row_bytes = s.hidden * 2,
                       .row_of_slot = rows.data(),
                       .input = input.data(),
                       .output = output.data()},
                      nullptr);
  finish();
  return output.to_host();
}

void expect_same(const std::vector<__nv_bfloat16>& got, const std::vector<__nv_bfloat16>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_EQ(__bfloat16_as_ushort(got[i]), __bfloat16_as_ushort(want[i])) << i;
}

TEST_P(Schedules, PermuteEqualsTheReference) {
  for (const LayerShape& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.tokens << " tokens, top " << s.topk << ", hidden " << s.hidden);
    const Order o = order_of(s);
    const auto x = tokens_of(s, 2);
    expect_same(device_permute(x, o, s), reference_permute(x, o, s));
  }
}

TEST_P(Schedules, PermuteCarriesFp8WithItsScales) {
  for (const int hidden : {16, 128, 208, 1024}) {
    const int tokens = 29, topk = 3, words = (hidden + 127) / 128;
    const Order o = reference_order(draw_ids(tokens, topk, 16, Ids::some_absent, 3), 16, 8);
    std::vector<std::uint8_t> x(static_cast<std::size_t>(tokens) * hidden);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint8_t>(i * 37);
    const auto scales = random_floats(static_cast<std::size_t>(tokens) * words, 1, 2, 4);
    const DeviceBuffer<std::uint8_t> input(x);
    const DeviceBuffer<float> input_scales(scales);
    const DeviceBuffer<int> rows(o.row_of_slot);
    std::vector<std::uint8_t> want(o.slot_of_row.size() * hidden, 0x5a);
    std::vector<float> want_scales(o.slot_of_row.size() * words, kUntouched);
    const DeviceBuffer<std::uint8_t> output(want);
    const DeviceBuffer<float> output_scales(want_scales);
    moe_permute::Params p{tokens,
                          topk,
                          hidden,
                          words,
                          rows.data(),
                          input.data(),
                          input_scales.data(),
                          output.data(),
                          output_scales.data()};
    moe_permute::launch(p, nullptr);
    finish();
    p.row_of_slot = o.row_of_slot.data();
    p.input = x.data();
    p.input_scales = scales.data();
    p.output = want.data();
    p.output_scales = want_scales.data();
    moe_permute::reference(p);
    EXPECT_EQ(output.to_host(), want) << hidden;
    EXPECT_EQ(output_scales.to_host(), want_scales) << hidden;
  }
}

/// Expert rows in either format, NaN in every row that no slot names.
HostRows experts_of(const Order& o, const LayerShape& s, bool is_fp8) {
  HostRows rows({.hidden = s.hidden, .is_fp8 = is_fp8}, o.slot_of_row.size(), 5);
  for (std::size_t row = 0; row < o.slot_of_row.size(); ++row) {
    if (o.slot_of_row[row] >= 0) continue;
    const auto first = static_cast<std::ptrdiff_t>(row * s.hidden);
    if (is_fp8)
      std::fill_n(rows.fp8.begin() + first, s.hidden, std::uint8_t{0x7f});
    else
      std::fill_n(rows.bf16.begin() + first, s.hidden, __float2bfloat16(std::numeric_limits<float>::quiet_NaN()));
  }
  return rows;
}

// A sum of fp32 next to a tie of bf16 may round to the other side: one step, 2^-7 of a number with eight bits.
constexpr double kBf16Step = 0x1p-7;

/// At most one step off, and that seldom: fp32 errs by 1e-6 of a number, a tie lies within that of one number in
/// thousands.
void expect_rounded_alike(const std::vector<__nv_bfloat16>& got, const std::vector<__nv_bfloat16>& want) {
  ASSERT_LE(deviation(got, want).relative, kBf16Step);
  std::size_t unequal = 0;
  for (std::size_t i = 0; i < want.size(); ++i) unequal += to_double(got[i]) == to_double(want[i]) ? 0 : 1;
  ASSERT_LE(unequal, 1 + want.size() / 1000);
}

void expect_combine(const LayerShape& s, bool is_fp8, bool is_weighted) {
  SCOPED_TRACE(testing::Message() << s.tokens << " tokens, top " << s.topk << ", hidden " << s.hidden
                                  << (is_fp8 ? ", fp8" : ", bf16") << (is_weighted ? "" : ", unweighted"));
  const Order o = order_of(s);
  const HostRows experts = experts_of(o, s, is_fp8);
  const auto weights = random_floats(o.row_of_slot.size(), 0, 1, 8);
  const DeviceRows device(experts);
  const DeviceBuffer<int> rows(o.row_of_slot);
  const DeviceBuffer<float> device_weights(weights);
  const DeviceBuffer<__nv_bfloat16> output(static_cast<std::size_t>(s.tokens) * s.hidden);
  moe_combine::Params p{.shape = {s.tokens, s.topk, s.hidden, is_fp8},
                        .row_of_slot = rows.data(),
                        .weights = is_weighted ? device_weights.data() : nullptr,
                        .experts = device.data(),
                        .scales = device.scale_data(),
                        .output = output.data()};
  moe_combine::launch(p, nullptr);
  finish();
  expect_written(output);
  std::vector<__nv_bfloat16> want(output.size());
  p.row_of_slot = o.row_of_slot.data();
  p.weights = is_weighted ? weights.data() : nullptr;
  p.experts = experts.data();
  p.scales = experts.scale_data();
  p.output = want.data();
  moe_combine::reference(p);
  expect_rounded_alike(output.to_host(), want);
}

TEST_P(Schedules, CombineEqualsTheReference) {
  for (const LayerShape& s : kShapes) expect_combine(s, false, true);
}
TEST_P(Schedules, CombineOfFp8EqualsTheReference) {
  for (const LayerShape& s : kShapes) expect_combine(s, true, true);
}
TEST_P(Schedules, CombineWithoutWeightsIsPermuteBackward) {
  for (const LayerShape& s : kShapes) expect_combine(s, false, false);
}

TEST_P(Schedules, CombineUndoesPermuteForIdentityExperts) {
  const LayerShape s{37, 4, 16, 8, 136};
  const Order o = device_order(ids_of(s), s.num_experts, s.alignment);
  const auto x = tokens_of(s, 9);
  const DeviceBuffer<__nv_bfloat16> experts(device_permute(x, o, s));
  std::vector<float> weights;
  for (std::int64_t t = 0; t < s.tokens; ++t) weights.insert(weights.end(), {0.5F, 0.25F, 0.125F, 0.125F});
  const DeviceBuffer<float> device_weights(weights);
  const DeviceBuffer<int> rows(o.row_of_slot);
  const DeviceBuffer<__nv_bfloat16> output(x.size());
  moe_combine::launch(moe_combine::Params{.shape = {s.tokens, s.topk, s.hidden},
                                          .row_of_slot = rows.data(),
                                          .weights = device_weights.data(),
                                          .experts = experts.data(),
                                          .output = output.data()},
                      nullptr);
  finish();
  expect_same(output.to_host(), x);
}

void expect_combine_backward(const LayerShape& s, bool is_fp8) {
  SCOPED_TRACE(testing::Message() << s.tokens << " tokens, top " << s.topk << ", hidden " << s.hidden
                                  << (is_fp8 ? ", fp8" : ", bf16"));
  const Order o = order_of(s);
  const HostRows experts = experts_of(o, s, is_fp8);
  const auto weights = random_floats(o.row_of_slot.size(), 0, 1, 10);
  const auto grad = random_bf16(static_cast<std::size_t>(s.tokens) * s.hidden, -1, 1, 11);
  const DeviceRows device(experts);
  const DeviceBuffer<int> rows(o.row_of_slot);
  const DeviceBuffer<float> device_weights(weights);
  const DeviceBuffer<__nv_bfloat16> grad_output(grad);
  std::vector<__nv_bfloat16> want_experts(o.slot_of_row.size() * s.hidden, __float2bfloat16(kUntouched));
  const DeviceBuffer<__nv_bfloat16> grad_experts(want_experts);
  const DeviceBuffer<float> grad_weights(weights.size());
  moe_combine::BackwardParams p{.shape = {s.tokens, s.topk, s.hidden, is_fp8},
                                .row_of_slot = rows.data(),
                                .weights = device_weights.data(),
                                .experts = device.data(),
                                .scales = device.scale_data(),
                                .grad_output = grad_output.data(),
                                .grad_experts = grad_experts.data(),
                                .grad_weights = grad_weights.data()};
  moe_combine::launch(p, nullptr);
  finish();
  expect_written(grad_weights);
  std::vector<float> want_weights(weights.size());
  p.row_of_slot = o.row_of_slot.data();
  p.weights = weights.data();
  p.experts = experts.data();
  p.scales = experts.scale_data();
  p.grad_output = grad.data();
  p.grad_experts = want_experts.data();
  p.grad_weights = want_weights.data();
  moe_combine::reference(p);
  // One product, rounded once: to bf16 directly in the reference, through fp32 in the kernel.
  expect_rounded_alike(grad_experts.to_host(), want_experts);
  ASSERT_LE(deviation(grad_weights.to_host(), want_weights).relative, 1e-5);
}

TEST_P(Schedules, CombineBackwardEqualsTheReference) {
  for (const LayerShape& s : kShapes) expect_combine_backward(s, false);
}
TEST_P(Schedules, CombineBackwardOfFp8EqualsTheReference) {
  for (const LayerShape& s : kShapes) expect_combine_backward(s, true);
}

TEST_P(Schedules, RowsBeyondTwoToThe31Elements) {
  const LayerShape s{9, 2, 4, 1, 7168};
  Order o = order_of(s);
  const auto x = tokens_of(s, 12);
  const auto rows_want = reference_permute(x, o, s);
  const std::vector<float> weights(o.row_of_slot.size(), 0.5F);
  const auto y_want = reference_combine(rows_want, weights, o, s);

  for (int& row : o.row_of_slot) row += kFarRow;
  const std::int64_t far = static_cast<std::int64_t>(kFarRow) * s.hidden;
  const DeviceBuffer<int> far_rows(o.row_of_slot);
  const DeviceBuffer<float> device_weights(weights);
  const DeviceBuffer<__nv_bfloat16> input(x), rows(rows_want.size()), y(x.size()), grad_rows(rows_want.size());
  const DeviceBuffer<float> grad_weights(weights.size());
  moe_permute::launch({.tokens = s.tokens,
                       .topk = s.topk,
                       .row_bytes = s.hidden * 2,
                       .row_of_slot = far_rows.data(),
                       .input = input.data(),
                       .output = shifted_back(rows.data(), far)},
                      nullptr);
  const moe_combine::Shape shape{s.tokens, s.topk, s.hidden};
  moe_combine::launch(moe_combine::Params{.shape = shape,
                                          .row_of_slot = far_rows.data(),
                                          .weights = device_weights.data(),
                                          .experts = shifted_back(rows.data(), far),
                                          .output = y.data()},
                      nullptr);
  moe_combine::launch(moe_combine::BackwardParams{.shape = shape,
                                                  .row_of_slot = far_rows.data(),
                                                  .weights = device_weights.data(),
                                                  .experts = shifted_back(rows.data(), far),
                                                  .grad_output = input.data(),
                                                  .grad_experts = shifted_back(grad_rows.data(), far),
                                                  .grad_weights = grad_weights.data()},
                      nullptr);
  finish();
  expect_same(rows.to_host(), rows_want);
  expect_rounded_alike(y.to_host(), y_want);
  expect_written(grad_rows);
}

// 64 tokens for time; 4096 in training.
constexpr LayerShape kDeepSeekV3{64, 8, 256, 1, 7168};

template <class Op>
void expect_compulsory(const Op& op) {
  const double ratio = sector_bytes() / work::bytes(op).value;
  EXPECT_LE(ratio, 1.05);
  EXPECT_GE(ratio, 0.99);
  testing::Test::RecordProperty("bytes_over_compulsory", std::to_string(ratio));
}

TEST_P(Schedules, PermuteMovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const LayerShape& s = kDeepSeekV3;
  const Order o = order_of(s);
  const auto x = tokens_of(s, 2);
  ptx::reset_counters();
  device_permute(x, o, s);
  expect_compulsory(work::MoePermute{64, 7168, 8});
  // Each token is read once, not only from memory: the loads themselves ask for it once.
  EXPECT_LE(static_cast<double>(counted().global_loads.bytes), 1.01 * 64 * 7168 * 2);
}

TEST_P(Schedules, CombineMovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  ptx::reset_counters();
  expect_combine(kDeepSeekV3, false, true);
  expect_compulsory(work::MoeCombine{64, 7168, 8});
}

TEST_P(Schedules, CombineOfFp8MovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  ptx::reset_counters();
  expect_combine(kDeepSeekV3, true, true);
  expect_compulsory(work::MoeCombine{64, 7168, 8, work::Dtype::fp8_block});
}

TEST_P(Schedules, CombineBackwardMovesNoMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  ptx::reset_counters();
  expect_combine_backward(kDeepSeekV3, false);
  expect_compulsory(work::MoeCombine{64, 7168, 8, work::Dtype::bf16, work::Pass::backward});
}

}  // namespace
}  // namespace traincost::kernels
