#include <gtest/gtest.h>

#include <cmath>

#include <kernels/attention/attention.hpp>
#include <kernels/common/random.hpp>

namespace traincost::kernels::attention {
namespace {

using Elements = std::vector<__nv_bfloat16>;

struct Problem {
  explicit Problem(const Shape& s)
      : shape(s),
        q(random_bf16(size(s.h_q, s.d_qk), -1, 1, 1)),
        k(random_bf16(size(s.h_kv, s.d_qk), -1, 1, 2)),
        v(random_bf16(size(s.h_kv, s.d_v), -1, 1, 3)),
        grad_out(random_bf16(size(s.h_q, s.d_v), -1, 1, 4)) {}
  [[nodiscard]] std::size_t size(int heads, int d) const {
    return static_cast<std::size_t>(shape.b) * shape.s * heads * d;
  }
  [[nodiscard]] Tensors tensors() const { return {shape, q.data(), k.data(), v.data(), grad_out.data()}; }

  /// sum(grad_out out), whose gradients the backward pass gives.
  [[nodiscard]] double value() const {
    double sum = 0;
    for (int b = 0; b < shape.b; ++b)
      for (int i = 0; i < shape.s; ++i)
        for (int h = 0; h < shape.h_q; ++h) {
          const auto out = reference_out(tensors(), b, h, i);
          for (int c = 0; c < shape.d_v; ++c)
            sum +=
                out[c] * double{__bfloat162float(
                             grad_out[((static_cast<std::size_t>(b) * shape.s + i) * shape.h_q + h) * shape.d_v + c])};
        }
    return sum;
  }

  Shape shape;
  Elements q, k, v, grad_out;
};

/// By the change of value() when one element moves to the next bf16 numbers around it.
double slope(Problem& p, Elements& elements, std::size_t at) {
  constexpr float kStep = 0x1p-5F;
  const auto old = elements[at];
  elements[at] = __float2bfloat16(__bfloat162float(old) + kStep);
  const double high = __bfloat162float(elements[at]), value_high = p.value();
  elements[at] = __float2bfloat16(__bfloat162float(old) - kStep);
  const double low = __bfloat162float(elements[at]), value_low = p.value();
  elements[at] = old;
  return (value_high - value_low) / (high - low);
}

TEST(AttentionReference, TheFirstQueryOfACausalMaskSeesOnlyItself) {
  const Problem p({.b = 1, .s = 4, .h_q = 2, .h_kv = 1, .d_qk = 16, .d_v = 8});
  const auto out = reference_out(p.tensors(), 0, 1, 0);
  for (int c = 0; c < 8; ++c) EXPECT_EQ(out[c], __bfloat162float(p.v[c]));
}

TEST(AttentionReference, EqualKeysAverageTheValues) {
  Problem p({.b = 1, .s = 8, .h_q = 1, .h_kv = 1, .d_qk = 8, .d_v = 8, .is_causal = false});
  std::ranges::fill(p.k, __float2bfloat16(0.25F));
  double mean = 0;
  for (std::size_t j = 0; j < 8; ++j) mean += double{__bfloat162float(p.v[8 * j])} / 8;
  EXPECT_NEAR(reference_out(p.tensors(), 0, 0, 2)[0], mean, 1e-12);
}

TEST(AttentionReference, GradientsAreTheSlopes) {
  for (const bool is_causal : {true, false}) {
    Problem p({.b = 2, .s = 6, .h_q = 4, .h_kv = 2, .d_qk = 24, .d_v = 16, .is_causal = is_causal});
    const int b = 1, h = 3, h_kv = 1, i = 4, j = 2;
    const auto grad_q = reference_grad_q(p.tensors(), b, h, i);
    const auto grad_kv = reference_grad_kv(p.tensors(), b, h_kv, j);
    for (const int c : {0, 7, 15}) {
      const std::size_t of_q = ((static_cast<std::size_t>(b) * 6 + i) * 4 + h) * 24 + c;
      const std::size_t of_k = ((static_cast<std::size_t>(b) * 6 + j) * 2 + h_kv) * 24 + c;
      const std::size_t of_v = ((static_cast<std::size_t>(b) * 6 + j) * 2 + h_kv) * 16 + c;
      EXPECT_NEAR(grad_q[c], slope(p, p.q, of_q), 1e-4);
      EXPECT_NEAR(grad_kv.k[c], slope(p, p.k, of_k), 1e-4);
      EXPECT_NEAR(grad_kv.v[c], slope(p, p.v, of_v), 1e-9);
    }
  }
}

TEST(AttentionReference, BadShapesAreNamed) {
  EXPECT_THROW(validate({.b = 1, .s = 1, .h_q = 3, .h_kv = 2, .d_qk = 8, .d_v = 8}), InputError);
  EXPECT_THROW(validate({.b = 1, .s = 1, .h_q = 2, .h_kv = 2, .d_qk = 12, .d_v = 8}), InputError);
}

}  // namespace
}  // namespace traincost::kernels::attention
