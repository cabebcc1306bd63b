#include <cmath>
#include <limits>

#include <kernels/attention/attention.hpp>

namespace traincost::kernels::attention {
namespace {

const __nv_bfloat16* row(const __nv_bfloat16* p, const Shape& s, int b, int i, int h, int heads, int d) {
  return p + ((static_cast<std::int64_t>(b) * s.s + i) * heads + h) * d;
}

double dot(const __nv_bfloat16* a, const __nv_bfloat16* b, int d) {
  double sum = 0;
  for (int c = 0; c < d; ++c) sum += double{__bfloat162float(a[c])} * double{__bfloat162float(b[c])};
  return sum;
}

void add(Vector& to, double factor, const __nv_bfloat16* x) {
  for (std::size_t c = 0; c < to.size(); ++c) to[c] += factor * double{__bfloat162float(x[c])};
}

/// One query of one head: its rows of the inputs and the keys' and values' of its group.
struct Query {
  const Tensors& t;
  int b, h, i;

  [[nodiscard]] int group() const { return h / (t.shape.h_q / t.shape.h_kv); }
  [[nodiscard]] int keys() const { return t.shape.is_causal ? i + 1 : t.shape.s; }
  [[nodiscard]] const __nv_bfloat16* q() const { return row(t.q, t.shape, b, i, h, t.shape.h_q, t.shape.d_qk); }
  [[nodiscard]] const __nv_bfloat16* k(int j) const {
    return row(t.k, t.shape, b, j, group(), t.shape.h_kv, t.shape.d_qk);
  }
  [[nodiscard]] const __nv_bfloat16* v(int j) const {
    return row(t.v, t.shape, b, j, group(), t.shape.h_kv, t.shape.d_v);
  }
  [[nodiscard]] const __nv_bfloat16* grad_out() const {
    return row(t.grad_out, t.shape, b, i, h, t.shape.h_q, t.shape.d_v);
  }

  /// softmax of the scores, [keys].
  [[nodiscard]] Vector probabilities() const {
    Vector p;
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int j = 0; j < keys(); ++j) {
      p.push_back(dot(q(), k(j), t.shape.d_qk) * double{t.shape.sm_scale()});
      largest = std::fmax(largest, p.back());
    }
    for (double& x : p) sum += x = std::exp(x - largest);
    for (double& x : p) x /= sum;
    return p;
  }
  /// p (grad_out v^T - delta), [keys]; delta = sum over j of p grad_out v^T, since out = p v.
  [[nodiscard]] Vector score_gradients(const Vector& p) const {
    Vector ds;
    double delta = 0;
    for (int j = 0; j < keys(); ++j) {
      ds.push_back(dot(grad_out(), v(j), t.shape.d_v));
      delta += p[j] * ds.back();
    }
    for (int j = 0; j < keys(); ++j) ds[j] = p[j] * (ds[j] - delta);
    return ds;
  }
};

}  // namespace

float Shape::sm_scale() const { return 1 / std::sqrt(static_cast<float>(d_qk)); }

Vector reference_out(const Tensors& t, int b, int h, int i) {
  const Query query{t, b, h, i};
  const Vector p = query.probabilities();
  Vector out(static_cast<std::size_t>(t.shape.d_v));
  for (int j = 0; j < query.keys(); ++j) add(out, p[j], query.v(j));
  return out;
}

Vector reference_grad_q(const Tensors& t, int b, int h, int i) {
  const Query query{t, b, h, i};
  const Vector ds = query.score_gradients(query.probabilities());
  Vector grad(static_cast<std::size_t>(t.shape.d_qk));
  for (int j = 0; j < query.keys(); ++j) add(grad, ds[j] * double{t.shape.sm_scale()}, query.k(j));
  return grad;
}

KeyGradients reference_grad_kv(const Tensors& t, int b, int h_kv, int j) {
  const int heads = t.shape.h_q / t.shape.h_kv;
  KeyGradients grad{Vector(static_cast<std::size_t>(t.shape.d_qk)), Vector(static_cast<std::size_t>(t.shape.d_v))};
  for (int h = h_kv * heads; h < (h_kv + 1) * heads; ++h)
    for (int i = t.shape.is_causal ? j : 0; i < t.shape.s; ++i) {
      const Query query{t, b, h, i};
      const Vector p = query.probabilities();
      add(grad.k, query.score_gradients(p)[j] * double{t.shape.sm_scale()}, query.q());
      add(grad.v, p[j], query.grad_out());
    }
  return grad;
}

}  // namespace traincost::kernels::attention
