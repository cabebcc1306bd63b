#include <kernels/common/deviation.hpp>
#include <kernels/common/random.hpp>
#include <kernels/norms/norms.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::norms {
namespace {

INSTANTIATE_TEST_SUITE_P(Norms, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

// Fewer vectors than threads, more than one each, and more than are held in registers (8,192 columns).
const std::vector<Shape> kShapes = {{0, 64}, {1, 8}, {3, 264}, {2, 2048}, {2, 2056}, {1, 8200}, {1, 16384}};

constexpr Tolerance kTolerance{.absolute = 1e-3, .relative = 0x1p-7, .cosine = 1e-5};  // as case.cpp's

using Vector = std::vector<__nv_bfloat16>;

std::size_t size(const Shape& s) { return static_cast<std::size_t>(s.rows) * s.columns; }

void expect_close(const DeviceBuffer<__nv_bfloat16>& got, const Vector& want, const Shape& s) {
  expect_written(got);
  const Deviation d = deviation(got.to_host(), want);
  EXPECT_TRUE(d.cosine <= kTolerance.cosine && (d.absolute <= kTolerance.absolute || d.relative <= kTolerance.relative))
      << s.rows << " x " << s.columns << ": absolute " << d.absolute << ", relative " << d.relative << ", cosine "
      << d.cosine;
}

void expect_forward(const Shape& s, const Vector& x, bool is_layer_norm) {
  const auto weight = random_bf16(static_cast<std::size_t>(s.columns), 0.5, 1.5, 2);
  const auto bias = random_bf16(weight.size(), -1, 1, 3);
  const DeviceBuffer<__nv_bfloat16> device_x(x), device_weight(weight), device_bias(bias), y(size(s));
  launch({.shape = s,
          .x = device_x.data(),
          .weight = device_weight.data(),
          .bias = is_layer_norm ? device_bias.data() : nullptr,
          .y = y.data()},
         nullptr);
  finish();
  Vector want(size(s));
  reference({.shape = s,
             .x = x.data(),
             .weight = weight.data(),
             .bias = is_layer_norm ? bias.data() : nullptr,
             .y = want.data()});
  expect_close(y, want, s);
}

TEST_P(Schedules, ForwardIsThatOfTheReference) {
  for (const Shape& s : kShapes)
    for (const bool is_layer_norm : {false, true}) expect_forward(s, random_bf16(size(s), -2, 2, 1), is_layer_norm);
}

TEST_P(Schedules, AMeanFarFromZeroLosesNoDigits) { expect_forward({2, 512}, random_bf16(1024, 100, 101, 1), true); }

TEST_P(Schedules, InputGradientIsThatOfTheReference) {
  for (const Shape& s : kShapes) {
    const auto x = random_bf16(size(s), -2, 2, 1), grad = random_bf16(size(s), -1, 1, 4);
    const auto weight = random_bf16(static_cast<std::size_t>(s.columns), 0.5, 1.5, 2);
    const DeviceBuffer<__nv_bfloat16> device_x(x), device_weight(weight), device_grad(grad), out(size(s));
    launch(InputGradientParams{.shape = s,
                               .x = device_x.data(),
                               .weight = device_weight.data(),
                               .grad_y = device_grad.data(),
                               .grad_x = out.data()},
           nullptr);
    finish();
    Vector want(size(s));
    reference(InputGradientParams{
        .shape = s, .x = x.data(), .weight = weight.data(), .grad_y = grad.data(), .grad_x = want.data()});
    expect_close(out, want, s);
  }
}

// The gradient of sum(grad_y y) by differences of the reference's own forward pass, in a direction.
TEST(NormsReference, TheGradientIsTheSlopeOfTheForwardPass) {
  constexpr int kColumns = 64;
  const Shape s{1, kColumns};
  const auto x = random_bf16(kColumns, -2, 2, 1), grad = random_bf16(kColumns, -1, 1, 4);
  const auto weight = random_bf16(kColumns, 0.5, 1.5, 2);
  Vector gradient(kColumns);
  reference(InputGradientParams{
      .shape = s, .x = x.data(), .weight = weight.data(), .grad_y = grad.data(), .grad_x = gradient.data()});
  const auto value = [&](int moved, double step) {
    std::vector<double> v;
    for (int c = 0; c < kColumns; ++c) v.push_back(to_double(x[c]) + (c == moved ? step : 0));
    double squares = 1e-6 * kColumns, sum = 0;
    for (const double u : v) squares += u * u;
    for (int c = 0; c < kColumns; ++c)
      sum += to_double(grad[c]) * v[c] / std::sqrt(squares / kColumns) * to_double(weight[c]);
    return sum;
  };
  for (const int c : {0, 17, 63})
    EXPECT_NEAR(to_double(gradient[c]), (value(c, 1e-4) - value(c, -1e-4)) / 2e-4, 4e-3) << c;
}

TEST_P(Schedules, MovesLittleMoreThanItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const Shape s{64, 4096};
  ptx::reset_counters();
  expect_forward(s, random_bf16(size(s), -2, 2, 1), false);
  EXPECT_LE(sector_bytes() / (4.0 * static_cast<double>(size(s))), 1.02);
}

}  // namespace
}  // namespace traincost::kernels::norms
