#include <traincost/work/decode.hpp>

#include <cmath>

namespace traincost::work {
namespace {
using units::Bytes;
using units::Flops;

constexpr double kInt = 4, kFp32 = 4, kBf16 = 2;
}  // namespace

Bytes bytes_per_token(const KvCache& c) {
  return {c.h_kv * (c.d_k + c.d_v) * bytes_per_element(c.dtype) + c.d_rope * kBf16};
}

Flops flops(const PagedDecode& op) { return flops(Op{op.decode}); }

Bytes partial_bytes(const PagedDecode& op) {
  const double rows = op.partial_results * op.decode.s_q * op.decode.h_q;
  return {2 * rows * (op.decode.d_v + 1) * kFp32};
}

Bytes bytes(const PagedDecode& op) {
  const Decode& d = op.decode;
  const Bytes cache = d.b * d.s_kv * bytes_per_token(op.cache);
  const double table_and_length = d.b * (std::ceil(d.s_kv / op.page_tokens) + 1) * kInt;
  const double queries_and_out = d.b * d.s_q * d.h_q * ((d.d_qk + d.d_v) * kBf16 + kFp32 /* lse */);
  return cache + Bytes{table_and_length + queries_and_out} + partial_bytes(op);
}

Bytes bytes(const CacheAppend& op) {
  const double input = op.cache.h_kv * (op.cache.d_k + op.cache.d_v) + op.cache.d_rope;
  return op.tokens * (Bytes{input * kBf16 + kInt /* where to */} + bytes_per_token(op.cache));
}

Flops flops(const Rope& op) { return {3 * op.tokens * op.heads * op.dim}; }

Bytes bytes(const Rope& op) {
  return {op.tokens * (2 * op.heads * op.dim * kBf16 + op.dim * kFp32 + kInt /* position */)};
}

}  // namespace traincost::work
