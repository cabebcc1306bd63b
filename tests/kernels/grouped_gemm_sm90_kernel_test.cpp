#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>
#include <tests/kernels/grouped_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::grouped_gemm {
namespace {

INSTANTIATE_TEST_SUITE_P(GroupedGemmSm90, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

/// Params of forward and input gradient differ in names only: first_row, counts, left, right, output.
template <class Params>
Outputs<__nv_bfloat16> run(const Problem& p, const std::vector<__nv_bfloat16>& left,
                           const std::vector<__nv_bfloat16>& right, std::int64_t outputs, bool is_masked = false) {
  const DeviceBuffer<int> first(p.first_row), counts(p.counts);
  const DeviceBuffer<__nv_bfloat16> device_left(left), device_right(right), output(untouched(outputs));
  sm90::launch(Params{p.shape, is_masked ? nullptr : first.data(), counts.data(), device_left.data(),
                      device_right.data(), output.data()},
               p.rows, nullptr);
  finish();
  auto want = untouched(outputs);
  reference(Params{p.shape, p.first_row.data(), p.counts.data(), left.data(), right.data(), want.data()});
  return {output.to_host(), want};
}

Outputs<__nv_bfloat16> forward(const Problem& p, Values values, bool is_masked = false) {
  const Shape& s = p.shape;
  return run<ForwardParams>(p, rows(p, s.k, values, 1),
                            matrix(row_offset(row_offset(s.num_experts, s.n), s.k), values, 2), p.rows * s.n,
                            is_masked);
}

Outputs<__nv_bfloat16> input_gradient(const Problem& p, Values values, bool is_masked = false) {
  const Shape& s = p.shape;
  return run<InputGradientParams>(p, rows(p, s.n, values, 3),
                                  matrix(row_offset(row_offset(s.num_experts, s.n), s.k), values, 4), p.rows * s.k,
                                  is_masked);
}

Outputs<float> weight_gradient(const Problem& p, Values values, bool is_accumulated, bool is_masked = false) {
  const Shape& s = p.shape;
  const auto grad = rows(p, s.n, values, 5);
  const auto input = rows(p, s.k, values, 6);
  const auto count = static_cast<std::size_t>(row_offset(row_offset(s.num_experts, s.n), s.k));
  std::vector<float> want(count, 3);
  // A tensor map needs an address even when there is no row.
  const auto mapped = [](auto m, int columns) {
    m.resize(std::max<std::size_t>(m.size(), static_cast<std::size_t>(columns)));
    return m;
  };
  const DeviceBuffer<int> first(p.first_row), counts(p.counts);
  const DeviceBuffer<__nv_bfloat16> device_grad(mapped(grad, s.n)), device_input(mapped(input, s.k));
  const DeviceBuffer<float> output = is_accumulated ? DeviceBuffer<float>(want) : DeviceBuffer<float>(count);
  sm90::launch(WeightGradientParams{s, is_accumulated, is_masked ? nullptr : first.data(), counts.data(),
                                    device_grad.data(), device_input.data(), output.data()},
               p.rows, nullptr);
  finish();
  expect_written(output);
  reference(WeightGradientParams{s, is_accumulated, p.first_row.data(), p.counts.data(), grad.data(), input.data(),
                                 want.data()});
  return {output.to_host(), want};
}

TEST_P(Schedules, ForwardIsExactForIntegers) {
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(forward(problem(s), Values::integers));
  }
}

TEST_P(Schedules, InputGradientIsExactForIntegers) {
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(input_gradient(problem(s), Values::integers));
  }
}

TEST_P(Schedules, WeightGradientIsExactForIntegers) {
  for (const GroupedShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(weight_gradient(problem(s), Values::integers, false));
  }
}

TEST_P(Schedules, WeightGradientAccumulates) {
  for (const std::size_t i : {1, 7, 10, 13}) {
    SCOPED_TRACE(describe(kShapes[i]));
    expect_exact(weight_gradient(problem(kShapes[i]), Values::integers, true));
  }
}

TEST_P(Schedules, MaskedLayout) {
  for (const std::size_t i : {0, 7, 8, 10, 13, 17}) {
    SCOPED_TRACE(describe(kShapes[i]));
    const Problem p = masked(kShapes[i]);
    expect_exact(forward(p, Values::integers, true));
    expect_exact(input_gradient(p, Values::integers, true));
    expect_exact(weight_gradient(p, Values::integers, false, true));
  }
}

TEST_P(Schedules, RealNumbersAgreeToTheLastDigit) {
  const Problem p = problem({{50, 0, 13}, 72, 136});
  for (const auto& o : {forward(p, Values::reals), input_gradient(p, Values::reals)}) {
    EXPECT_LE(deviation(o.got, o.want).relative, 0x1p-7);
    EXPECT_LE(deviation(o.got, o.want).cosine, 1e-8);
  }
  const auto o = weight_gradient(p, Values::reals, false);
  EXPECT_LE(deviation(o.got, o.want).relative, 1e-6);
}

}  // namespace
}  // namespace traincost::kernels::grouped_gemm
