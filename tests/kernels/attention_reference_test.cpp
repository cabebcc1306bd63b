#include <tests/kernels/attention_problem.hpp>

namespace traincost::kernels::attention {
namespace {

/// The same problem in fp64, so that a derivative may be taken by differences.
struct Smooth {
  explicit Smooth(const Problem& p)
      : problem(p), q(widened(p.q)), k(widened(p.k)), v(widened(p.v)), grad_out(widened(p.grad_out)) {}

  static Vector widened(const Elements& x) {
    Vector y(x.size());
    std::ranges::transform(x, y.begin(), [](__nv_bfloat16 e) { return double{__bfloat162float(e)}; });
    return y;
  }
  [[nodiscard]] Reference gradients() const {
    return reference<double>({problem.shape, problem.cu_seqlens_q.data(), problem.cu_seqlens_k.data(), q.data(),
                              k.data(), v.data(), grad_out.data()});
  }
  /// sum(grad_out out), whose gradients the backward pass gives.
  [[nodiscard]] double value() const {
    const auto out = reference<double>({problem.shape, problem.cu_seqlens_q.data(), problem.cu_seqlens_k.data(),
                                        q.data(), k.data(), v.data()})
                         .out;
    double sum = 0;
    for (std::size_t c = 0; c < out.size(); ++c) sum += out[c] * grad_out[c];
    return sum;
  }
  /// By the change of value() around one element.
  double slope(double& element) const {
    constexpr double kStep = 1e-4;
    const double old = element;
    element = old + kStep;
    const double high = value();
    element = old - kStep;
    const double low = value();
    element = old;
    return (high - low) / (2 * kStep);
  }

  const Problem& problem;
  Vector q, k, v, grad_out;
};

TEST(AttentionReference, GradientsAreTheSlopes) {
  for (const bool is_causal : {true, false}) {
    // More keys than queries, more queries than keys, no keys; groups of two.
    const Problem p({{{3, 5}, {6, 4}, {2, 0}}, 4, 2, 24, is_causal, 16});
    Smooth smooth(p);
    const Reference r = smooth.gradients();
    const auto expect_slopes = [&](Vector& elements, const Vector& gradients) {
      ASSERT_EQ(elements.size(), gradients.size());
      for (std::size_t c = 0; c < elements.size(); c += 7)
        EXPECT_NEAR(gradients[c], smooth.slope(elements[c]), 1e-8) << c;
    };
    expect_slopes(smooth.q, r.grad_q);
    expect_slopes(smooth.k, r.grad_k);
    expect_slopes(smooth.v, r.grad_v);
  }
}

TEST(AttentionReference, RowsAreThoseOfTheWhole) {
  const Problem p({{{2, 3}, {6, 5}}, 4, 2, 24, true, 16});
  const Reference r = reference(p.tensors());
  const int n = 1, h = 3, h_kv = 1, i = 4, j = 2;
  const std::size_t query = (2U + i) * 4 + h, key = (3U + j) * 2 + h_kv;
  const auto expect_row = [](const Vector& row, const Vector& all, std::size_t at) {
    for (std::size_t c = 0; c < row.size(); ++c) EXPECT_NEAR(row[c], all[at * row.size() + c], 1e-14);
  };
  expect_row(reference_out(p.tensors(), n, h, i), r.out, query);
  expect_row(reference_grad_q(p.tensors(), n, h, i), r.grad_q, query);
  const auto grad = reference_grad_kv(p.tensors(), n, h_kv, j);
  expect_row(grad.k, r.grad_k, key);
  expect_row(grad.v, r.grad_v, key);
}

TEST(AttentionReference, CausalIsAlignedToTheLastQuery) {
  const Problem p({{{4, 4}, {3, 1}, {1, 2}}, 1, 1, 16, true, 8});
  const Reference r = reference(p.tensors());
  for (int c = 0; c < 8; ++c) {
    EXPECT_EQ(r.out[c], __bfloat162float(p.v[c]));               // the first query sees the first key alone
    EXPECT_EQ(r.out[6 * 8 + c], __bfloat162float(p.v[32 + c]));  // the last of three sees the only key
    EXPECT_EQ(r.out[5 * 8 + c], 0);                              // the others see nothing
  }
  EXPECT_EQ(r.lse[5], -INFINITY);
  const auto weight = [&](int i, int j) {
    double dot = 0;
    for (int c = 0; c < 16; ++c)
      dot += double{__bfloat162float(p.q[16 * i + c])} * double{__bfloat162float(p.k[16 * j + c])};
    return std::exp(dot * double{p.shape.sm_scale()});
  };
  EXPECT_NEAR(r.lse[7], std::log(weight(7, 5) + weight(7, 6)), 1e-12);
}

TEST(AttentionReference, EqualKeysAverageTheValues) {
  Problem p({{{8, 8}}, 1, 1, 8, false, 8});
  std::ranges::fill(p.k, __float2bfloat16(0.25F));
  double mean = 0;
  for (std::size_t j = 0; j < 8; ++j) mean += double{__bfloat162float(p.v[8 * j])} / 8;
  EXPECT_NEAR(reference(p.tensors()).out[16], mean, 1e-12);
}

TEST(AttentionReference, ThePlainImplementationIsNearIt) {
  for (const auto& s : small_shapes()) {
    const Problem p(s);
    const Reference want = reference(p.tensors()), got = plain(p.tensors());
    const auto expect_close = [&](const Vector& a, const Vector& b) {
      double error = 0, largest = 0;
      for (std::size_t i = 0; i < b.size(); ++i) {
        error = std::max(error, std::fabs(a[i] - b[i]));
        largest = std::max(largest, std::fabs(b[i]));
      }
      EXPECT_LE(error, 0x1p-7 * largest + 1e-5) << describe(s);  // of bf16
    };
    expect_close(got.out, want.out);
    expect_close(got.grad_q, want.grad_q);
    expect_close(got.grad_k, want.grad_k);
    expect_close(got.grad_v, want.grad_v);
  }
}

TEST(AttentionReference, BadShapesAreNamed) {
  const Shape good = of_equal_lengths(1, 1, {.h_q = 2, .h_kv = 1, .d_qk = 192, .d_v = 128});
  EXPECT_NO_THROW(validate_own(good));
  const auto changed = [&](auto change) {
    Shape s = good;
    change(s);
    return s;
  };
  EXPECT_THROW(validate(changed([](Shape& s) { s.h_kv = 3; })), InputError);
  EXPECT_THROW(validate(changed([](Shape& s) { s.d_qk = 12; })), InputError);
  EXPECT_THROW(validate(changed([](Shape& s) { s.max_seqlen_k = 2; })), InputError);
  EXPECT_THROW(validate_own(changed([](Shape& s) { s.d_qk = 64; })), InputError);
  EXPECT_THROW(validate_own(changed([](Shape& s) { s.d_v = 192; })), InputError);
}

}  // namespace
}  // namespace traincost::kernels::attention
