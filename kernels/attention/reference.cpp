#include <algorithm>
#include <cmath>
#include <limits>

#include <kernels/attention/attention.hpp>

namespace traincost::kernels::attention {
namespace {

double to_double(double x) { return x; }
double to_double(__nv_bfloat16 x) { return double{__bfloat162float(x)}; }

template <class Element>
double dot(const Element* a, const Element* b, int d) {
  double sum = 0;
  for (int c = 0; c < d; ++c) sum += to_double(a[c]) * to_double(b[c]);
  return sum;
}

template <class Element>
void add(double* to, double factor, const Element* x, int d) {
  for (int c = 0; c < d; ++c) to[c] += factor * to_double(x[c]);
}

std::int64_t row(std::int64_t token, int h, int heads) { return token * heads + h; }

/// One query of one head of sequence n, with the keys and values of its group.
template <class Element>
struct Query {
  const TensorsOf<Element>& t;
  int n, h, i;

  [[nodiscard]] int group() const { return h / (t.shape.h_q / t.shape.h_kv); }
  [[nodiscard]] int s_q() const { return t.cu_seqlens_q[n + 1] - t.cu_seqlens_q[n]; }
  [[nodiscard]] int s_k() const { return t.cu_seqlens_k[n + 1] - t.cu_seqlens_k[n]; }
  [[nodiscard]] int keys() const { return t.shape.is_causal ? std::max(0, i + 1 + s_k() - s_q()) : s_k(); }
  [[nodiscard]] std::int64_t q_row() const { return row(t.cu_seqlens_q[n] + i, h, t.shape.h_q); }
  [[nodiscard]] std::int64_t k_row(int j) const { return row(t.cu_seqlens_k[n] + j, group(), t.shape.h_kv); }
  [[nodiscard]] const Element* q() const { return t.q + q_row() * t.shape.d_qk; }
  [[nodiscard]] const Element* k(int j) const { return t.k + k_row(j) * t.shape.d_qk; }
  [[nodiscard]] const Element* v(int j) const { return t.v + k_row(j) * t.shape.d_v; }
  [[nodiscard]] const Element* grad_out() const { return t.grad_out + q_row() * t.shape.d_v; }

  struct Softmax {
    Vector p;  // [keys]
    double lse = -std::numeric_limits<double>::infinity();
  };
  [[nodiscard]] Softmax softmax() const {
    Softmax s;
    double largest = s.lse, sum = 0;
    for (int j = 0; j < keys(); ++j) {
      s.p.push_back(dot(q(), k(j), t.shape.d_qk) * double{t.shape.sm_scale()});
      largest = std::fmax(largest, s.p.back());
    }
    for (double& x : s.p) sum += x = std::exp(x - largest);
    for (double& x : s.p) x /= sum;
    if (keys() > 0) s.lse = largest + std::log(sum);
    return s;
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
  void add_out(double* out, const Vector& p) const {
    for (int j = 0; j < keys(); ++j) add(out, p[j], v(j), t.shape.d_v);
  }
  void add_grad_q(double* grad, const Vector& ds) const {
    for (int j = 0; j < keys(); ++j) add(grad, ds[j] * double{t.shape.sm_scale()}, k(j), t.shape.d_qk);
  }
  /// One key's share in the gradients of key and value.
  void add_grad_kv(double* grad_k, double* grad_v, double p, double ds) const {
    add(grad_k, ds * double{t.shape.sm_scale()}, q(), t.shape.d_qk);
    add(grad_v, p, grad_out(), t.shape.d_v);
  }
};

template <class Element>
void add_query(Reference& r, const Query<Element>& query) {
  const Shape& s = query.t.shape;
  const auto [p, lse] = query.softmax();
  r.lse[row(query.h, query.t.cu_seqlens_q[query.n] + query.i, s.total_q)] = lse;
  query.add_out(r.out.data() + query.q_row() * s.d_v, p);
  if (query.t.grad_out == nullptr) return;
  const Vector ds = query.score_gradients(p);
  query.add_grad_q(r.grad_q.data() + query.q_row() * s.d_qk, ds);
  for (int j = 0; j < query.keys(); ++j)
    query.add_grad_kv(r.grad_k.data() + query.k_row(j) * s.d_qk, r.grad_v.data() + query.k_row(j) * s.d_v, p[j], ds[j]);
}

Vector zeros(std::int64_t tokens, int heads, int d) { return Vector(static_cast<std::size_t>(tokens * heads * d)); }

}  // namespace

float Shape::sm_scale() const { return 1 / std::sqrt(static_cast<float>(d_qk)); }

Vector reference_out(const Tensors& t, int n, int h, int i) {
  const Query<__nv_bfloat16> query{t, n, h, i};
  Vector out = zeros(1, 1, t.shape.d_v);
  query.add_out(out.data(), query.softmax().p);
  return out;
}

Vector reference_grad_q(const Tensors& t, int n, int h, int i) {
  const Query<__nv_bfloat16> query{t, n, h, i};
  Vector grad = zeros(1, 1, t.shape.d_qk);
  query.add_grad_q(grad.data(), query.score_gradients(query.softmax().p));
  return grad;
}

KeyGradients reference_grad_kv(const Tensors& t, int n, int h_kv, int j) {
  const int heads = t.shape.h_q / t.shape.h_kv;
  KeyGradients grad{zeros(1, 1, t.shape.d_qk), zeros(1, 1, t.shape.d_v)};
  for (int h = h_kv * heads; h < (h_kv + 1) * heads; ++h)
    for (int i = 0; i < t.cu_seqlens_q[n + 1] - t.cu_seqlens_q[n]; ++i) {
      const Query<__nv_bfloat16> query{t, n, h, i};
      if (j >= query.keys()) continue;
      const Vector p = query.softmax().p;
      query.add_grad_kv(grad.k.data(), grad.v.data(), p[j], query.score_gradients(p)[j]);
    }
  return grad;
}

template <class Element>
Reference reference(const TensorsOf<Element>& t) {
  const Shape& s = t.shape;
  const bool is_forward = t.grad_out == nullptr && s.total_q > 0;  // no queries have no grad_out either
  Reference r{.out = zeros(s.total_q, s.h_q, s.d_v),
              .lse = zeros(s.total_q, s.h_q, 1),
              .grad_q = zeros(s.total_q, s.h_q, is_forward ? 0 : s.d_qk),
              .grad_k = zeros(s.total_k, s.h_kv, is_forward ? 0 : s.d_qk),
              .grad_v = zeros(s.total_k, s.h_kv, is_forward ? 0 : s.d_v)};
  for (int n = 0; n < s.b; ++n)
    for (int h = 0; h < s.h_q; ++h)
      for (int i = 0; i < t.cu_seqlens_q[n + 1] - t.cu_seqlens_q[n]; ++i) add_query(r, Query<Element>{t, n, h, i});
  return r;
}
template Reference reference(const TensorsOf<__nv_bfloat16>&);
template Reference reference(const TensorsOf<double>&);

}  // namespace traincost::kernels::attention
