#include <tests/kernels/grouped_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::grouped_gemm {
namespace {

INSTANTIATE_TEST_SUITE_P(GroupedGemm, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

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
