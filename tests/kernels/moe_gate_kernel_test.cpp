#include <traincost/work/moe.hpp>

#include <kernels/common/deviation.hpp>
#include <tests/kernels/gate_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::moe_gate {
namespace {

INSTANTIATE_TEST_SUITE_P(MoeGate, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct DeviceProblem {
  explicit DeviceProblem(const Problem& p) : fp32(p.logits), bf16(p.logits_bf16), bias(p.bias) {}
  [[nodiscard]] const void* logits(LogitType type) const {
    return type == LogitType::fp32 ? static_cast<const void*>(fp32.data()) : bf16.data();
  }
  DeviceBuffer<float> fp32;
  DeviceBuffer<__nv_bfloat16> bf16;
  DeviceBuffer<float> bias;
};

constexpr int kLoadBefore = 3;  // the histogram is added to

Routing routing(const Problem& p) {
  const DeviceProblem device(p);
  const auto slots = static_cast<std::size_t>(p.shape.tokens * p.shape.topk);
  const DeviceBuffer<int> ids(slots);
  const DeviceBuffer<float> weights(slots);
  const DeviceBuffer<int> load(std::vector<int>(static_cast<std::size_t>(p.shape.num_experts), kLoadBefore));
  launch(Params{.shape = p.shape,
                .logits = device.logits(p.shape.logit_type),
                .bias = device.bias.data(),
                .ids = ids.data(),
                .weights = weights.data(),
                .load = load.data()},
         nullptr);
  finish();
  expect_written(ids);
  expect_written(weights);
  return {ids.to_host(), weights.to_host(), load.to_host()};
}

/// exp within 2 ulp, the difference from the maximum within 1, a sum of 512 terms and a division.
constexpr double kWeightTolerance = 4e-6;

void expect_reference(const Problem& p) {
  SCOPED_TRACE(testing::PrintToString(p.shape));
  const Routing got = routing(p);
  const Routing want = reference_routing(p);
  ASSERT_EQ(got.ids, want.ids);
  for (std::size_t i = 0; i < want.weights.size(); ++i)
    ASSERT_NEAR(got.weights[i], want.weights[i], kWeightTolerance * want.weights[i]) << i;
  for (std::size_t e = 0; e < want.load.size(); ++e) ASSERT_EQ(got.load[e], want.load[e] + kLoadBefore) << e;
}

// tokens, experts, topk, groups, groups chosen, scoring, type, scale: every number of experts per lane, whole and
// ragged.
const std::vector<Shape> kShapes = {
    {1, 8, 1},
    {5, 8, 8},
    {17, 16, 4, 1, 1, Scoring::softmax_renormalized, LogitType::bf16},
    {31, 32, 16},
    {33, 33, 3, 1, 1, Scoring::sigmoid},
    {2, 61, 7, 1, 1, Scoring::softmax, LogitType::bf16},
    {40, 64, 6, 1, 1, Scoring::softmax_renormalized},
    {9, 64, 8, 8, 2, Scoring::sigmoid, LogitType::bf16},
    {7, 72, 4, 24, 3, Scoring::sigmoid},
    {50, 96, 5, 1, 1, Scoring::sigmoid, LogitType::fp32, 2.5F},
    {13, 127, 16, 1, 1, Scoring::softmax_renormalized},
    {64, 128, 8, 1, 1, Scoring::softmax},
    {3, 128, 8, 4, 2, Scoring::sigmoid, LogitType::bf16, 1.5F},
    {29, 160, 6, 8, 3, Scoring::sigmoid, LogitType::fp32, 16},
    {11, 192, 12},
    {100, 256, 8, 8, 4, Scoring::sigmoid, LogitType::fp32, 2.5F},
    {23, 256, 8, 8, 4, Scoring::sigmoid, LogitType::bf16, 2.5F},
    {19, 256, 16, 32, 5, Scoring::sigmoid},
    {6, 257, 9, 1, 1, Scoring::softmax, LogitType::bf16},
    {21, 384, 8, 1, 1, Scoring::sigmoid, LogitType::fp32, 2.827F},
    {4, 511, 16, 1, 1, Scoring::softmax_renormalized},
    {15, 512, 10, 16, 4, Scoring::sigmoid, LogitType::bf16},
    {10, 512, 1, 1, 1, Scoring::softmax},
    {8, 24, 3, 24, 24, Scoring::sigmoid},  // groups of one expert
    {4000, 16, 2},                         // more tokens than warps
};

TEST_P(Schedules, GivesTheReferencesIdsForEveryShape) {
  std::uint64_t seed = 1;
  for (const Shape& shape : kShapes)
    expect_reference(problem(shape, Logits::spread, shape.scoring == Scoring::sigmoid, seed++));
}

TEST_P(Schedules, BreaksTiesByTheLowerId) {
  for (const Logits kind : {Logits::ties, Logits::equal, Logits::zeros})
    for (const std::size_t i : {1, 6, 9, 12, 14, 16, 21}) expect_reference(problem(kShapes[i], kind, false, 100 + i));
}

TEST_P(Schedules, NanAndInfinityGiveValidIdsAndFiniteWeights) {
  for (const std::size_t i : {1, 2, 4, 8, 10, 13, 15, 19, 21})
    expect_reference(problem(kShapes[i], Logits::non_finite, kShapes[i].scoring == Scoring::sigmoid, 200 + i));
}

TEST_P(Schedules, ABiasOfAnySizeOnlySelects) {
  Problem p = problem(deepseek_v3(16), Logits::spread, true, 7);
  for (std::size_t e = 0; e < p.bias.size(); ++e) p.bias[e] = e % 64 == 5 ? 1000.0F : p.bias[e];
  p.bias[7] = std::numeric_limits<float>::quiet_NaN();
  p.bias[9] = -std::numeric_limits<float>::infinity();
  p.bias[70] = std::numeric_limits<float>::infinity();
  expect_reference(p);
}

TEST_P(Schedules, NoTokensLaunchNothing) { expect_reference(problem({0, 8, 2}, Logits::spread, false, 1)); }

TEST_P(Schedules, BackwardEqualsTheReference) {
  std::uint64_t seed = 300;
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const Problem p = problem(shape, Logits::spread, false, ++seed);
    const Routing r = reference_routing(p);
    const std::vector<float> grad_weights = random_floats(r.weights.size(), -1, 1, ++seed);
    const DeviceProblem device(p);
    const DeviceBuffer<int> ids(r.ids);
    const DeviceBuffer<float> grad(grad_weights);
    const DeviceBuffer<float> grad_logits(p.logits.size());
    launch(BackwardParams{.shape = shape,
                          .logits = device.logits(shape.logit_type),
                          .ids = ids.data(),
                          .grad_weights = grad.data(),
                          .grad_logits = grad_logits.data()},
           nullptr);
    finish();
    expect_written(grad_logits);
    const Deviation d = deviation(grad_logits.to_host(), reference_gradient(p, r.ids, grad_weights));
    // Relative to the gradient's root mean square; a difference of two nearly equal sums loses digits.
    EXPECT_LE(d.relative, 1e-5);
    EXPECT_LE(d.cosine, 1e-11);
  }
}

TEST_P(Schedules, BiasUpdateEqualsTheReference) {
  for (const int num_experts :
       {1, 2, 3, 7, 8, 13, 16, 31, 32, 33, 60, 64, 72, 96, 127, 128, 160, 255, 256, 257, 384, 511, 512}) {
    Random random(static_cast<std::uint64_t>(num_experts));
    std::vector<int> load(static_cast<std::size_t>(num_experts));
    for (int& count : load) count = random.below(5);
    auto bias = random_floats(load.size(), -1, 1, 5);
    const DeviceBuffer<int> device_load(load);
    const DeviceBuffer<float> device_bias(bias);
    launch(BiasUpdateParams{num_experts, 0.001F, device_load.data(), device_bias.data()}, nullptr);
    finish();
    reference(BiasUpdateParams{num_experts, 0.001F, load.data(), bias.data()});
    EXPECT_EQ(device_bias.to_host(), bias) << num_experts;
  }
}

TEST_P(Schedules, MovesNoMoreThanItMustForDeepSeekV3) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const Problem p = problem(deepseek_v3(512), Logits::spread, true, 11);  // 512 tokens for time; 4096 in training
  ptx::reset_counters();
  routing(p);
  const double compulsory = work::bytes(work::MoeGate{512, 256, 8}).value;
  EXPECT_LE(sector_bytes() / compulsory, 1.05);
  EXPECT_GE(sector_bytes() / compulsory, 0.99);
  RecordProperty("bytes_over_compulsory", std::to_string(sector_bytes() / compulsory));
}

}  // namespace
}  // namespace traincost::kernels::moe_gate
