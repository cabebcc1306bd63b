#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <kernels/attention/attention.hpp>
#include <kernels/common/random.hpp>

/// What the tests of the attention kernels share: problems, a plain implementation of the same precision, and how far
/// from the reference a kernel may be.
namespace traincost::kernels::attention {

using Elements = std::vector<__nv_bfloat16>;

struct Lengths {
  int s_q, s_k;
};

struct ProblemShape {
  std::vector<Lengths> sequences;
  int h_q = 1, h_kv = 1, d_qk = 192;
  bool is_causal = true;
  int d_v = 128;
};

inline testing::Message describe(const ProblemShape& s) {
  testing::Message m;
  m << "d_qk " << s.d_qk << ", h_q " << s.h_q << ", h_kv " << s.h_kv << (s.is_causal ? ", causal" : ", full") << ", s";
  for (const auto& [s_q, s_k] : s.sequences) m << " (" << s_q << ", " << s_k << ")";
  return m;
}

/// Lengths around the tiles of 64 and 128, sequences without queries or keys, queries that see nothing (causal with
/// more queries than keys), more keys than queries, groups of one to eight.
inline std::vector<ProblemShape> small_shapes() {
  return {
      {{{1, 1}}},
      {{{64, 64}}},
      {{{128, 128}}, 1, 1, 128},
      {{{113, 203}}},
      {{{113, 203}}, 2, 1, 128, false},
      {{{239, 1}}},
      {{{239, 1}}, 1, 1, 128, false},
      {{{5, 130}}, 2, 2},
      {{{130, 5}}, 2, 2},
      {{{130, 5}}, 2, 1, 128, false},
      {{{0, 7}, {33, 33}, {7, 0}, {65, 66}}},
      {{{0, 7}, {33, 33}, {7, 0}, {65, 66}}, 2, 1, 128, false},
      {{{40, 0}}, 1, 1, 128},
      {{{0, 40}}},
      {{{127, 129}}, 1, 1, 192, false},
      {{{129, 127}}, 3, 1, 128},
      {{{1, 2}, {3, 1}, {2, 2}}, 4, 2, 128},
      {{{17, 81}, {81, 17}}, 8, 1, 128},
      {{{31, 95}}, 2, 2, 192},
      {{{95, 31}}, 2, 2, 192, false},
      {{{63, 65}, {65, 63}}, 2, 1, 128},
      {{{200, 200}}, 1, 1, 192, false},
      {{{193, 257}}, 1, 1, 128},
  };
}

/// The lengths that take the executor longer: once.
inline std::vector<ProblemShape> long_shapes() {
  return {{{{799, 3}}}, {{{799, 3}}, 1, 1, 128, false}, {{{1023, 1024}}}, {{{1023, 1024}}, 1, 1, 128}};
}

struct Problem {
  explicit Problem(const ProblemShape& s, float range = 1) : cu_seqlens_q{0}, cu_seqlens_k{0} {
    shape = {.b = static_cast<int>(s.sequences.size()),
             .h_q = s.h_q,
             .h_kv = s.h_kv,
             .d_qk = s.d_qk,
             .d_v = s.d_v,
             .is_causal = s.is_causal};
    for (const auto& [s_q, s_k] : s.sequences) {
      cu_seqlens_q.push_back(shape.total_q += s_q);
      cu_seqlens_k.push_back(shape.total_k += s_k);
      shape.max_seqlen_q = std::max(shape.max_seqlen_q, s_q);
      shape.max_seqlen_k = std::max(shape.max_seqlen_k, s_k);
    }
    q = random_bf16(size_q(shape.d_qk), -range, range, 1);
    k = random_bf16(size_k(shape.d_qk), -1, 1, 2);
    v = random_bf16(size_k(shape.d_v), -1, 1, 3);
    grad_out = random_bf16(size_q(shape.d_v), -1, 1, 4);
    grad_out.reserve(1);  // without queries, not nullptr either
  }
  [[nodiscard]] std::size_t size_q(int d) const { return static_cast<std::size_t>(shape.total_q) * shape.h_q * d; }
  [[nodiscard]] std::size_t size_k(int d) const { return static_cast<std::size_t>(shape.total_k) * shape.h_kv * d; }
  [[nodiscard]] Tensors tensors() const {
    return {shape, cu_seqlens_q.data(), cu_seqlens_k.data(), q.data(), k.data(), v.data(), grad_out.data()};
  }

  Shape shape;
  std::vector<int> cu_seqlens_q, cu_seqlens_k;
  Elements q, k, v, grad_out;
  // What the device's cu_seqlens begin with, the tensors being as far before their memory.
  int first_token_q = 0, first_token_k = 0;
};

/// Beyond 2^31 elements of a tensor: wrong 32-bit arithmetic misses them.
constexpr int kFarToken = 20'000'000;

inline float rounded(float x) { return __bfloat162float(__float2bfloat16(x)); }

/// The obvious loops in the precision of the kernels: bf16 operands of every product, p and ds too, sums in fp32.
inline Reference plain(const Tensors& t) {
  const Shape& s = t.shape;
  const auto zeros = [](int tokens, int heads, int d) {
    return std::vector<float>(static_cast<std::size_t>(tokens) * heads * d);
  };
  auto out = zeros(s.total_q, s.h_q, s.d_v), lse = zeros(s.total_q, s.h_q, 1), grad_q = zeros(s.total_q, s.h_q, s.d_qk),
       grad_k = zeros(s.total_k, s.h_kv, s.d_qk), grad_v = zeros(s.total_k, s.h_kv, s.d_v);
  const auto dot = [](const __nv_bfloat16* a, const __nv_bfloat16* b, int d) {
    float sum = 0;
    for (int c = 0; c < d; ++c) sum += __bfloat162float(a[c]) * __bfloat162float(b[c]);
    return sum;
  };
  const auto add = [](float* to, float factor, const __nv_bfloat16* x, int d) {
    for (int c = 0; c < d; ++c) to[c] += factor * __bfloat162float(x[c]);
  };
  const auto visit = [&](int n, int h, int i) {
    const int s_q = t.cu_seqlens_q[n + 1] - t.cu_seqlens_q[n], s_k = t.cu_seqlens_k[n + 1] - t.cu_seqlens_k[n];
    const int keys = s.is_causal ? std::max(0, i + 1 + s_k - s_q) : s_k;
    const std::int64_t query = std::int64_t{t.cu_seqlens_q[n] + i} * s.h_q + h;
    const auto key = [&](int j) { return std::int64_t{t.cu_seqlens_k[n] + j} * s.h_kv + h / (s.h_q / s.h_kv); };
    std::vector<float> p(static_cast<std::size_t>(keys));
    float largest = -INFINITY, sum = 0, delta = 0;
    for (int j = 0; j < keys; ++j) {
      p[j] = dot(t.q + query * s.d_qk, t.k + key(j) * s.d_qk, s.d_qk) * s.sm_scale();
      largest = std::max(largest, p[j]);
    }
    for (float& x : p) sum += x = std::exp(x - largest);
    float* o = out.data() + query * s.d_v;
    for (int j = 0; j < keys; ++j) add(o, rounded(p[j] /= sum), t.v + key(j) * s.d_v, s.d_v);
    lse[static_cast<std::size_t>(h) * s.total_q + t.cu_seqlens_q[n] + i] = largest + std::log(sum);
    const __nv_bfloat16* grad_o = t.grad_out + query * s.d_v;
    for (int c = 0; c < s.d_v; ++c) delta += (o[c] = rounded(o[c])) * __bfloat162float(grad_o[c]);
    for (int j = 0; j < keys; ++j) {
      const float ds = rounded(p[j] * (dot(grad_o, t.v + key(j) * s.d_v, s.d_v) - delta));
      add(grad_q.data() + query * s.d_qk, ds * s.sm_scale(), t.k + key(j) * s.d_qk, s.d_qk);
      add(grad_k.data() + key(j) * s.d_qk, ds * s.sm_scale(), t.q + query * s.d_qk, s.d_qk);
      add(grad_v.data() + key(j) * s.d_v, rounded(p[j]), grad_o, s.d_v);
    }
  };
  for (int n = 0; n < s.b; ++n)
    for (int h = 0; h < s.h_q; ++h)
      for (int i = 0; i < t.cu_seqlens_q[n + 1] - t.cu_seqlens_q[n]; ++i) visit(n, h, i);
  const auto widened = [](const std::vector<float>& x, bool is_rounded) {
    Vector y(x.size());
    std::ranges::transform(x, y.begin(), [&](float e) { return double{is_rounded ? rounded(e) : e}; });
    return y;
  };
  return {widened(out, true), widened(lse, false), widened(grad_q, true), widened(grad_k, true), widened(grad_v, true)};
}

/// Twice the plain implementation's largest error, which cannot be asked to be below the last rounding to bf16 of the
/// largest value, nor below fp32 sums in another order.
inline double limit(const Vector& plain, const Vector& want) {
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error = std::max(error, std::fabs(plain[i] - want[i]));
    largest = std::max(largest, std::fabs(want[i]));
  }
  return std::max({2 * error, 2 * 0x1p-9 * largest, 0x1p-20});
}

inline void expect_near(const char* name, const Elements& got, const Vector& plain, const Vector& want) {
  ASSERT_EQ(got.size(), want.size()) << name;
  double error = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double off = std::fabs(double{__bfloat162float(got[i])} - want[i]);
    error = off <= error ? error : off;  // a NaN stays
  }
  EXPECT_LE(error, limit(plain, want)) << name;
}

inline void expect_lse_near(const std::vector<float>& got, const Vector& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (std::isinf(want[i]))
      ASSERT_EQ(got[i], want[i]) << "lse " << i;
    else
      ASSERT_NEAR(got[i], want[i], 2e-6 * std::max(1.0, std::fabs(want[i]))) << "lse " << i;
  }
}

}  // namespace traincost::kernels::attention
