#include <limits>
#include <numeric>

#include <kernels/common/address.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/random.hpp>
#include <kernels/grouped_gemm/grouped_gemm.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::grouped_gemm {
namespace {

INSTANTIATE_TEST_SUITE_P(GroupedGemm, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct GroupedShape {
  std::vector<int> counts;
  int n, k;
  int alignment = 1;  // rows between experts are padding
};

// Empty experts, one row, ragged rows around the tile of 128, depths around the stage of 32 and the four stages.
const std::vector<GroupedShape> kShapes = {
    {{1}, 8, 8},
    {{0}, 16, 16},
    {{3}, 8, 32},
    {{16}, 128, 128},
    {{128}, 128, 32},
    {{129}, 16, 40},
    {{127}, 136, 24},
    {{0, 5, 0}, 24, 64},
    {{5, 0, 0, 7}, 64, 96},
    {{1, 1, 1, 1, 1}, 40, 104},
    {{2, 3, 5, 7, 11, 13}, 72, 56},
    {{130, 2}, 128, 160},
    {{64, 64}, 256, 128},
    {{17, 0, 200}, 264, 72},
    {{9, 31}, 120, 264},
    {{100, 28}, 8, 136, 128},
    {{5, 0, 140, 1}, 48, 88, 128},
    {{33, 66}, 128, 192, 64},
    {{255}, 32, 16},
    {{257}, 16, 48},
    {{0, 0, 0, 19}, 152, 168, 16},
    {{40, 41, 42}, 8, 8, 8},
    {std::vector<int>(230, 1), 8, 136},  // more tiles than blocks: a block's next tile reuses the stages
    {std::vector<int>(220, 2), 16, 24},
};

struct Problem {
  Shape shape;
  std::vector<int> first_row, counts;
  std::int64_t rows = 0;  // padding included
};

Problem problem(const GroupedShape& s) {
  Problem p;
  p.counts = s.counts;
  for (const int count : s.counts) {
    p.first_row.push_back(static_cast<int>(p.rows));
    p.rows += ceil_div(count, s.alignment) * s.alignment;
  }
  p.shape = {static_cast<int>(s.counts.size()), s.n, s.k, std::accumulate(s.counts.begin(), s.counts.end(), 0)};
  return p;
}

enum class Values { integers, reals };

/// Small integers: every sum is exact in fp32 in any order, so results must agree to the bit.
std::vector<__nv_bfloat16> matrix(std::int64_t count, Values values, std::uint64_t seed) {
  if (values == Values::reals) return random_bf16(static_cast<std::size_t>(count), -1, 1, seed);
  Random random(seed);
  std::vector<__nv_bfloat16> m(static_cast<std::size_t>(count));
  for (auto& x : m) x = __float2bfloat16(static_cast<float>(random.below(7) - 3));
  return m;
}

/// Rows of the experts, NaN in the padding, which must not be read.
std::vector<__nv_bfloat16> rows(const Problem& p, int columns, Values values, std::uint64_t seed) {
  auto m = matrix(p.rows * columns, values, seed);
  std::vector<bool> is_owned(static_cast<std::size_t>(p.rows), false);
  for (std::size_t e = 0; e < p.counts.size(); ++e)
    for (int r = 0; r < p.counts[e]; ++r) is_owned[p.first_row[e] + r] = true;
  for (std::int64_t i = 0; i < p.rows * columns; ++i)
    if (!is_owned[i / columns]) m[i] = __float2bfloat16(std::numeric_limits<float>::quiet_NaN());
  return m;
}

std::vector<__nv_bfloat16> untouched(std::int64_t count) {
  return std::vector<__nv_bfloat16>(static_cast<std::size_t>(count), __float2bfloat16(-77));
}

template <class T>
struct Outputs {
  std::vector<T> got, want;
};

/// Params of the three passes differ in names only: first_row, counts, left, right, output.
template <class Params>
Outputs<__nv_bfloat16> run(const Problem& p, const std::vector<__nv_bfloat16>& left,
                           const std::vector<__nv_bfloat16>& right, std::int64_t outputs) {
  const DeviceBuffer<int> first(p.first_row), counts(p.counts);
  const DeviceBuffer<__nv_bfloat16> device_left(left), device_right(right), output(untouched(outputs));
  launch(Params{p.shape, first.data(), counts.data(), device_left.data(), device_right.data(), output.data()}, nullptr);
  finish();
  auto want = untouched(outputs);
  reference(Params{p.shape, p.first_row.data(), p.counts.data(), left.data(), right.data(), want.data()});
  return {output.to_host(), want};
}

Outputs<__nv_bfloat16> forward(const GroupedShape& s, Values values) {
  const Problem p = problem(s);
  return run<ForwardParams>(p, rows(p, s.k, values, 1),
                            matrix(static_cast<std::int64_t>(s.counts.size()) * s.n * s.k, values, 2), p.rows * s.n);
}

Outputs<__nv_bfloat16> input_gradient(const GroupedShape& s, Values values) {
  const Problem p = problem(s);
  return run<InputGradientParams>(p, rows(p, s.n, values, 3),
                                  matrix(static_cast<std::int64_t>(s.counts.size()) * s.n * s.k, values, 4),
                                  p.rows * s.k);
}

Outputs<float> weight_gradient(const GroupedShape& s, Values values, bool is_accumulated) {
  const Problem p = problem(s);
  const auto grad = rows(p, s.n, values, 5);
  const auto input = rows(p, s.k, values, 6);
  const std::size_t count = s.counts.size() * static_cast<std::size_t>(s.n) * s.k;
  std::vector<float> want(count, 3);
  const DeviceBuffer<int> first(p.first_row), counts(p.counts);
  const DeviceBuffer<__nv_bfloat16> device_grad(grad), device_input(input);
  // Overwritten: memory that was never written, so that a read of it is caught and every element must come.
  const DeviceBuffer<float> output = is_accumulated ? DeviceBuffer<float>(want) : DeviceBuffer<float>(count);
  launch(WeightGradientParams{p.shape, is_accumulated, first.data(), counts.data(), device_grad.data(),
                              device_input.data(), output.data()},
         nullptr);
  finish();
  expect_written(output);
  reference(WeightGradientParams{p.shape, is_accumulated, p.first_row.data(), p.counts.data(), grad.data(),
                                 input.data(), want.data()});
  return {output.to_host(), want};
}

template <class T>
void expect_exact(const Outputs<T>& o) {
  ASSERT_EQ(deviation(o.got, o.want).absolute, 0);
}

testing::Message describe(const GroupedShape& s) {
  return testing::Message() << testing::PrintToString(s.counts) << " rows, n " << s.n << ", k " << s.k;
}

TEST_P(Schedules, ForwardIsExactForIntegers) {
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(forward(s, Values::integers));
  }
}

TEST_P(Schedules, InputGradientIsExactForIntegers) {
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(input_gradient(s, Values::integers));
  }
}

TEST_P(Schedules, WeightGradientIsExactForIntegers) {
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(weight_gradient(s, Values::integers, false));
  }
}

TEST_P(Schedules, WeightGradientAccumulates) {
  for (const std::size_t i : {1, 7, 10, 13}) {
    SCOPED_TRACE(describe(kShapes[i]));
    expect_exact(weight_gradient(kShapes[i], Values::integers, true));
  }
}

// Real numbers: fp32 sums in another order than the reference's fp64, then one rounding to bf16.
TEST_P(Schedules, RealNumbersAgreeToTheLastDigit) {
  const GroupedShape s{{50, 0, 13}, 72, 136};
  for (const auto& o : {forward(s, Values::reals), input_gradient(s, Values::reals)}) {
    EXPECT_LE(deviation(o.got, o.want).relative, 0x1p-7);
    EXPECT_LE(deviation(o.got, o.want).cosine, 1e-8);
  }
  const auto o = weight_gradient(s, Values::reals, false);
  EXPECT_LE(deviation(o.got, o.want).relative, 1e-6);
}

TEST_P(Schedules, RowsBeyondTwoToThe31Elements) {
  const Shape s{1, 16, 24, 5};  // one expert of five rows
  const std::vector<int> near{0}, counts{5};
  const auto x = matrix(120, Values::integers, 7);
  const auto w = matrix(384, Values::integers, 8);
  std::vector<__nv_bfloat16> y_want(80), dx_want(120);
  std::vector<float> dw_want(384);
  reference(ForwardParams{s, near.data(), counts.data(), x.data(), w.data(), y_want.data()});
  reference(InputGradientParams{s, near.data(), counts.data(), y_want.data(), w.data(), dx_want.data()});
  reference(WeightGradientParams{s, false, near.data(), counts.data(), y_want.data(), x.data(), dw_want.data()});

  const DeviceBuffer<int> far(std::vector<int>{kFarRow}), device_counts(counts);
  const DeviceBuffer<__nv_bfloat16> input(x), weight(w), output(y_want.size()), grad_output(y_want), grad(x.size());
  const DeviceBuffer<float> grad_weight(dw_want.size());
  const auto* far_input = shifted_back(input.data(), 24LL * kFarRow);
  const auto* far_grad_output = shifted_back(grad_output.data(), 16LL * kFarRow);
  launch(ForwardParams{s, far.data(), device_counts.data(), far_input, weight.data(),
                       shifted_back(output.data(), 16LL * kFarRow)},
         nullptr);
  launch(InputGradientParams{s, far.data(), device_counts.data(), far_grad_output, weight.data(),
                             shifted_back(grad.data(), 24LL * kFarRow)},
         nullptr);
  launch(
      WeightGradientParams{s, false, far.data(), device_counts.data(), far_grad_output, far_input, grad_weight.data()},
      nullptr);
  finish();
  expect_exact(Outputs<__nv_bfloat16>{output.to_host(), y_want});
  expect_exact(Outputs<__nv_bfloat16>{grad.to_host(), dx_want});
  expect_exact(Outputs<float>{grad_weight.to_host(), dw_want});
}

TEST_P(Schedules, SharedMemoryHasNoBankConflicts) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const GroupedShape s{{128, 100}, 128, 256};
  const auto expect_ideal = [](const char* pass, auto run_pass) {
    ptx::reset_counters();
    run_pass();
    const auto shared = counted().shared;
    const double ratio = static_cast<double>(shared.wavefronts) / static_cast<double>(shared.ideal_wavefronts);
    EXPECT_LE(ratio, 1.15) << pass;
    EXPECT_GT(counted().instructions(ptx::Class::kMatrix), 0U) << pass;
    testing::Test::RecordProperty(std::string("wavefronts_over_ideal_") + pass, std::to_string(ratio));
  };
  expect_ideal("forward", [&] { forward(s, Values::integers); });
  expect_ideal("input_gradient", [&] { input_gradient(s, Values::integers); });
  expect_ideal("weight_gradient", [&] { weight_gradient(s, Values::integers, false); });
}

}  // namespace
}  // namespace traincost::kernels::grouped_gemm
