#include <kernels/common/fp8.hpp>
#include <kernels/gemm/sm90/gemm_fp8.hpp>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>
#include <tests/kernels/grouped_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::grouped_gemm::sm90 {
namespace {

INSTANTIATE_TEST_SUITE_P(GroupedGemmFp8, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

// Tails around the tiles of 128 x 192 and 128 x 128 and the block of 128; k a multiple of 16.
const std::vector<GroupedShape> kFp8Shapes = {
    {{1}, 8, 16},
    {{0}, 16, 16},
    {{3}, 8, 32},
    {{16}, 128, 128},
    {{128}, 192, 128},
    {{129}, 200, 144},
    {{127}, 136, 256},
    {{0, 5, 0}, 24, 64},
    {{5, 0, 0, 7}, 64, 96},
    {{1, 1, 1, 1, 1}, 40, 112},
    {{2, 3, 5, 7, 11, 13}, 72, 48},
    {{130, 2}, 128, 160},
    {{64, 64}, 256, 128},
    {{17, 0, 200}, 264, 80},
    {{9, 31}, 120, 272},
    {{100, 28}, 8, 640, 128},
    {{5, 0, 140, 1}, 400, 96, 128},
    {{33, 66}, 384, 192, 64},
    {{255}, 32, 784},
    {{257}, 16, 48},
    {{0, 0, 0, 19}, 152, 176, 16},
    {{40, 41, 42}, 8, 16, 8},
    {std::vector<int>(140, 1), 8, 144},  // more tiles than blocks: a block's next tile goes on in the ring
};

/// Codes of small integers and scales that are powers of two: every sum is exact.
std::vector<std::uint8_t> codes(std::int64_t count, Values values, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint8_t> m(static_cast<std::size_t>(count));
  for (auto& x : m) {
    x = values == Values::integers ? encode_e4m3(static_cast<float>(random.below(7) - 3))
                                   : encode_e4m3(random.uniform(-448, 448));
  }
  return m;
}

std::vector<float> scales(std::int64_t count, Values values, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> m(static_cast<std::size_t>(count));
  for (float& x : m) {
    x = values == Values::integers ? static_cast<float>(1 << random.below(3)) : random.uniform(1e-4F, 1e-2F);
  }
  return m;
}

std::int64_t up(std::int64_t value, std::int64_t to) { return ceil_div(value, to) * to; }

Outputs<__nv_bfloat16> product(const Problem& p, Values values, bool is_masked = false) {
  const Shape& s = p.shape;
  const std::int64_t rows = std::max<std::int64_t>(p.rows, 1);
  const std::int64_t blocks = ceil_div(s.k, kScaleBlock);
  const auto input = codes(rows * s.k, values, 1);
  const auto weight = codes(row_offset(row_offset(s.num_experts, s.n), s.k), values, 2);
  const auto input_scales = scales(blocks * up(rows, 4), values, 3);
  const auto weight_scales = scales(s.num_experts * ceil_div(s.n, kScaleBlock) * blocks, values, 4);
  const DeviceBuffer<int> first(p.first_row), counts(p.counts);
  const DeviceBuffer<std::uint8_t> device_input(input), device_weight(weight);
  const DeviceBuffer<float> device_input_scales(input_scales), device_weight_scales(weight_scales);
  const DeviceBuffer<__nv_bfloat16> output(untouched(rows * s.n));
  Fp8Params params{s,
                   p.rows,
                   is_masked ? nullptr : first.data(),
                   counts.data(),
                   device_input.data(),
                   device_input_scales.data(),
                   up(rows, 4),
                   device_weight.data(),
                   device_weight_scales.data(),
                   output.data()};
  launch(params, nullptr);
  finish();
  auto want = untouched(rows * s.n);
  params.first_row = p.first_row.data();
  params.counts = p.counts.data();
  params.input = input.data();
  params.input_scales = input_scales.data();
  params.weight = weight.data();
  params.weight_scales = weight_scales.data();
  params.output = want.data();
  reference(params);
  return {output.to_host(), want};
}

/// Experts at multiples of 128.
Problem aligned(GroupedShape s) {
  s.alignment = kScaleBlock;
  Problem p = problem(s);
  p.rows = std::max<std::int64_t>(p.rows, kScaleBlock);
  return p;
}

/// The same in the masked layout: equal room for each expert.
Problem masked_and_aligned(const GroupedShape& s) {
  const auto room = static_cast<int>(up(std::max(1, *std::ranges::max_element(s.counts)), kScaleBlock));
  Problem p = aligned(s);
  for (std::size_t e = 0; e < s.counts.size(); ++e) p.first_row[e] = static_cast<int>(e) * room;
  p.rows = static_cast<std::int64_t>(s.counts.size()) * room;
  return p;
}

/// Zeros in the padding.
Outputs<float> weight_gradient(const Problem& p, Values values, bool is_accumulated, bool is_masked = false) {
  const auto rows = static_cast<std::size_t>(p.rows);
  std::vector<bool> is_owned(rows, false);
  for (std::size_t e = 0; e < p.counts.size(); ++e)
    for (int r = 0; r < p.counts[e]; ++r) is_owned[p.first_row[e] + r] = true;
  const auto operand = [&](int outer, std::uint64_t seed) {
    auto m = codes(outer * p.rows, values, seed);
    for (std::size_t i = 0; i < m.size(); ++i)
      if (!is_owned[i % rows]) m[i] = 0;
    return m;
  };
  const auto grad = operand(p.shape.n, 5);
  const auto input = operand(p.shape.k, 6);
  const auto grad_scales = scales(p.rows / kScaleBlock * p.shape.n, values, 7);
  const auto input_scales = scales(p.rows / kScaleBlock * p.shape.k, values, 8);
  const auto count = static_cast<std::size_t>(row_offset(row_offset(p.shape.num_experts, p.shape.n), p.shape.k));
  std::vector<float> want(count, 3);
  const DeviceBuffer<int> first(p.first_row), counts(p.counts);
  const DeviceBuffer<std::uint8_t> device_grad(grad), device_input(input);
  const DeviceBuffer<float> device_grad_scales(grad_scales), device_input_scales(input_scales);
  const DeviceBuffer<float> output = is_accumulated ? DeviceBuffer<float>(want) : DeviceBuffer<float>(count);
  launch(Fp8WeightGradientParams{p.shape, p.rows, is_accumulated, is_masked ? nullptr : first.data(), counts.data(),
                                 device_grad.data(), device_grad_scales.data(), device_input.data(),
                                 device_input_scales.data(), output.data()},
         nullptr);
  finish();
  expect_written(output);
  reference(Fp8WeightGradientParams{p.shape, p.rows, is_accumulated, p.first_row.data(), p.counts.data(), grad.data(),
                                    grad_scales.data(), input.data(), input_scales.data(), want.data()});
  return {output.to_host(), want};
}

TEST_P(Schedules, ProductIsExactForIntegers) {
  for (const GroupedShape& s : kFp8Shapes) {
    SCOPED_TRACE(describe(s));
    expect_exact(product(problem(s), Values::integers));
  }
}

TEST_P(Schedules, WeightGradientIsExactForIntegers) {
  for (const GroupedShape& s : kFp8Shapes) {
    if (s.counts.size() > 100) continue;  // 128 rows each: nothing new, and long
    SCOPED_TRACE(describe(s));
    expect_exact(weight_gradient(aligned(s), Values::integers, false));
  }
}

TEST_P(Schedules, WeightGradientAccumulates) {
  for (const std::size_t i : {1, 7, 10}) {
    SCOPED_TRACE(describe(kFp8Shapes[i]));
    expect_exact(weight_gradient(aligned(kFp8Shapes[i]), Values::integers, true));
  }
}

TEST_P(Schedules, MaskedLayout) {
  for (const std::size_t i : {0, 7, 11, 13}) {
    SCOPED_TRACE(describe(kFp8Shapes[i]));
    expect_exact(product(masked(kFp8Shapes[i]), Values::integers, true));
    expect_exact(weight_gradient(masked_and_aligned(kFp8Shapes[i]), Values::integers, false, true));
  }
}

TEST_P(Schedules, DenseProduct) {
  for (const auto& [m, n, k] : {std::array{1, 8, 16}, std::array{130, 200, 272}, std::array{257, 64, 384}}) {
    const auto input = codes(row_offset(m, k), Values::integers, 1);
    const auto weight = codes(row_offset(n, k), Values::integers, 2);
    const std::int64_t blocks = ceil_div(k, kScaleBlock);
    const auto input_scales = scales(blocks * up(m, 4), Values::integers, 3);
    const auto weight_scales = scales(ceil_div(n, kScaleBlock) * blocks, Values::integers, 4);
    const DeviceBuffer<std::uint8_t> device_input(input), device_weight(weight);
    const DeviceBuffer<float> device_input_scales(input_scales), device_weight_scales(weight_scales);
    const DeviceBuffer<__nv_bfloat16> output(untouched(row_offset(m, n)));
    gemm::sm90::launch({m, n, k, device_input.data(), device_input_scales.data(), up(m, 4), device_weight.data(),
                        device_weight_scales.data(), output.data()},
                       nullptr);
    finish();
    auto want = untouched(row_offset(m, n));
    gemm::sm90::reference(
        {m, n, k, input.data(), input_scales.data(), up(m, 4), weight.data(), weight_scales.data(), want.data()});
    expect_exact(Outputs<__nv_bfloat16>{output.to_host(), want});
  }
}

// Scales are applied after 128 products instead of to each: fp32 sums in another order than the reference's.
TEST_P(Schedules, RealNumbersAgreeToTheLastDigit) {
  const GroupedShape s{{50, 0, 13}, 200, 272};
  const auto o = product(problem(s), Values::reals);
  EXPECT_LE(deviation(o.got, o.want).relative, 0x1p-7);
  EXPECT_LE(deviation(o.got, o.want).cosine, 1e-8);
  const auto w = weight_gradient(aligned(s), Values::reals, false);
  EXPECT_LE(deviation(w.got, w.want).relative, 1e-5);
}

}  // namespace
}  // namespace traincost::kernels::grouped_gemm::sm90
