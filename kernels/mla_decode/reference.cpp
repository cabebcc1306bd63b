#include <kernels/mla_decode/reference.hpp>

#include <cstring>

#include <kernels/common/address.hpp>
#include <kernels/common/fp8.hpp>

namespace traincost::kernels::mla_decode {
namespace {

double bf16_at(const void* bytes, std::int64_t index) {
  return __bfloat162float(static_cast<const __nv_bfloat16*>(bytes)[index]);
}

double fp8_key_at(const std::uint8_t* token, int column) {
  if (column >= kLatent) return bf16_at(token + kRopeOffset, column - kLatent);
  float scale = 0;
  std::memcpy(&scale, token + kScaleOffset + row_offset(column / kScaleBlock, sizeof scale), sizeof scale);
  return static_cast<double>(decode_e4m3(token[column])) * scale;
}

double dot(const double* a, const double* b, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

/// [rows, 512] times a latent.
std::vector<double> up(const double* weight, int rows, const double* latent) {
  std::vector<double> x(static_cast<std::size_t>(rows));
  for (int i = 0; i < rows; ++i) x[i] = dot(weight + row_offset(i, kLatent), latent, kLatent);
  return x;
}

}  // namespace

std::vector<double> cached_keys(const Params& p, int sequence) {
  std::vector<double> keys;
  keys.reserve(static_cast<std::size_t>(p.lengths[sequence]) * kKeyDim);
  for (int t = 0; t < p.lengths[sequence]; ++t) {
    const int page = p.block_table[row_offset(sequence, p.max_pages) + t / split_kv::kPageTokens];
    const std::int64_t token = row_offset(page, split_kv::kPageTokens) + t % split_kv::kPageTokens;
    const auto* fp8 = static_cast<const std::uint8_t*>(p.cache) + row_offset(token, kFp8TokenBytes);
    for (int c = 0; c < kKeyDim; ++c)
      keys.push_back(p.is_fp8 ? fp8_key_at(fp8, c) : bf16_at(p.cache, row_offset(token, kKeyDim) + c));
  }
  return keys;
}

std::vector<Attended> absorbed(const AbsorbedProblem& p) {
  std::vector<Attended> results;
  const int length = static_cast<int>(p.keys.size() / kKeyDim);
  for (int s = 0; s < p.s_q; ++s)
    for (int h = 0; h < p.h_q; ++h) {
      const double* q = p.q.data() + row_offset(row_offset(s, p.h_q) + h, kKeyDim);
      results.push_back(attend(
          visible_tokens(length, p.s_q, s, p.is_causal), kLatent,
          [&](int t) { return p.sm_scale * dot(q, p.keys.data() + row_offset(t, kKeyDim), kKeyDim); },
          [&](int t, int c) { return p.keys[row_offset(t, kKeyDim) + c]; }));
    }
  return results;
}

std::vector<Attended> expanded(const ExpandedProblem& p) {
  std::vector<Attended> results;
  const int length = static_cast<int>(p.keys.size() / kKeyDim);
  for (int s = 0; s < p.s_q; ++s)
    for (int h = 0; h < p.h_q; ++h) {
      const std::int64_t row = row_offset(s, p.h_q) + h;
      std::vector<std::vector<double>> k, v;
      for (int t = 0; t < length; ++t) {
        const double* latent = p.keys.data() + row_offset(t, kKeyDim);
        k.push_back(up(p.key_up.data() + row_offset(row_offset(h, p.d_nope), kLatent), p.d_nope, latent));
        v.push_back(up(p.value_up.data() + row_offset(row_offset(h, p.d_v), kLatent), p.d_v, latent));
      }
      results.push_back(attend(
          visible_tokens(length, p.s_q, s, p.is_causal), p.d_v,
          [&](int t) {
            const double* rope = p.keys.data() + row_offset(t, kKeyDim) + kLatent;
            return p.sm_scale * (dot(p.q_nope.data() + row_offset(row, p.d_nope), k[t].data(), p.d_nope) +
                                 dot(p.q_rope.data() + row_offset(row, kRope), rope, kRope));
          },
          [&](int t, int c) { return v[t][c]; }));
    }
  return results;
}

std::vector<Attended> expanded_by_absorption(const ExpandedProblem& p) {
  AbsorbedProblem a{
      .s_q = p.s_q, .h_q = p.h_q, .is_causal = p.is_causal, .sm_scale = p.sm_scale, .q = {}, .keys = p.keys};
  for (int row = 0; row < p.s_q * p.h_q; ++row) {
    const double* weight = p.key_up.data() + row_offset(row_offset(row % p.h_q, p.d_nope), kLatent);
    for (int c = 0; c < kLatent; ++c) {
      double sum = 0;
      for (int i = 0; i < p.d_nope; ++i)
        sum += p.q_nope[row_offset(row, p.d_nope) + i] * weight[row_offset(i, kLatent) + c];
      a.q.push_back(sum);
    }
    a.q.insert(a.q.end(), p.q_rope.begin() + row_offset(row, kRope), p.q_rope.begin() + row_offset(row + 1, kRope));
  }
  auto results = absorbed(a);
  for (int row = 0; row < p.s_q * p.h_q; ++row) {
    const double* weight = p.value_up.data() + row_offset(row_offset(row % p.h_q, p.d_v), kLatent);
    results[row].out = up(weight, p.d_v, results[row].out.data());
  }
  return results;
}

void reference(const Params& p) {
  validate(p);
  const int rows = p.s_q * p.h_q;
  for (int b = 0; b < p.b; ++b) {
    AbsorbedProblem one{.s_q = p.s_q,
                        .h_q = p.h_q,
                        .is_causal = p.is_causal,
                        .sm_scale = p.sm_scale,
                        .q = {},
                        .keys = cached_keys(p, b)};
    for (std::int64_t i = 0; i < row_offset(rows, kKeyDim); ++i)
      one.q.push_back(bf16_at(p.q, row_offset(row_offset(b, rows), kKeyDim) + i));
    const auto results = absorbed(one);
    for (int row = 0; row < rows; ++row) {
      const std::int64_t at = row_offset(b, rows) + row;
      for (int c = 0; c < kLatent; ++c) p.out[row_offset(at, kLatent) + c] = __double2bfloat16(results[row].out[c]);
      p.lse[at] = static_cast<float>(results[row].lse);
    }
  }
}

}  // namespace traincost::kernels::mla_decode
