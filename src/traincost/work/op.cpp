#include <traincost/work/op.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace traincost::work {
namespace {
using units::Bytes;
using units::Flops;

constexpr double kOutputBytes = 2;  // every product is written as bf16

// The (query, key) pairs that a causal mask keeps, the queries being the last s_q of the keys (the half-pair of the
// diagonal left out, as the field counts).
double pairs(const Attention& a) { return a.s_q * (a.is_causal ? a.s_kv - a.s_q / 2 : a.s_kv); }

double count_flops(const Gemm& g) { return 2 * g.m * g.n * g.k; }
double count_flops(const Attention& a) {
  // Backward: dV, dP, dS K, dS Q and the scores again: three products over d_qk, two over d_v.
  const double per_pair = a.pass == Pass::forward ? a.d_qk + a.d_v : 3 * a.d_qk + 2 * a.d_v;
  return 2 * a.b * a.h_q * pairs(a) * per_pair;
}
double count_flops(const Decode& d) { return 2 * d.b * d.h_q * d.s_q * d.s_kv * (d.d_qk + d.d_v); }
double count_flops(const MoeMlp& m) { return 2 * m.rows * m.imbalance * 3 * m.hidden * m.width; }
double count_flops(const Stream&) { return 0; }
double count_flops(const Quantize& q) { return 2 * q.m * q.k; }
double count_flops(const Collective&) { return 0; }
double count_flops(const MoeExchange&) { return 0; }

double count_bytes(const Gemm& g, double e) { return (g.m * g.k + g.n * g.k) * e + g.m * g.n * kOutputBytes; }
double count_bytes(const Attention& a, double e) {
  const double q_and_out = a.b * a.s_q * a.h_q * (a.d_qk + a.d_v);
  const double k_and_v = a.b * a.s_kv * a.h_kv * (a.d_qk + a.d_v);
  // Backward reads q, k, v, out and its gradient, and writes three gradients.
  return a.pass == Pass::forward ? (q_and_out + k_and_v) * e
                                 : (2 * q_and_out + 2 * k_and_v + a.b * a.s_q * a.h_q * a.d_v) * e;
}
double count_bytes(const Decode& d, double e) {
  const double cache = d.b * d.s_kv * d.h_kv * (d.values_in_keys ? d.d_qk : d.d_qk + d.d_v);
  return cache * bytes_per_element(d.kv_dtype) + d.b * d.s_q * d.h_q * (d.d_qk + d.d_v) * e;
}
double count_bytes(const MoeMlp& m, double e) {
  const double rows = m.rows * m.imbalance;
  const double weights = 3 * std::min(m.num_experts, std::max(rows, 1.0)) * m.hidden * m.width;
  return weights * e + rows * (m.hidden * (e + kOutputBytes) + m.width * (2 * kOutputBytes + kOutputBytes + e));
}
double count_bytes(const Stream& s, double) { return s.bytes; }
double count_bytes(const Quantize& q, double) { return q.m * q.k * (2 + bytes_per_element(Dtype::fp8_block)); }
double count_bytes(const Collective& c, double) {
  const double others = (c.gpus - 1) / std::max(c.gpus, 1.0);
  switch (c.kind) {
    case CollectiveKind::all_reduce:
      return 2 * c.bytes * others;
    case CollectiveKind::send_recv:
      return c.bytes;
    default:
      return c.bytes * others;
  }
}
double count_bytes(const MoeExchange& x, double e) {
  // A token goes once to each distinct GPU that holds one of its experts: balanced choice without replacement.
  const double others = (x.gpus - 1) * (1 - std::pow(1 - 1 / std::max(x.gpus, 1.0), x.topk));
  return x.tokens * x.hidden * e * others;
}
}  // namespace

std::string_view name(const Op& op) {
  constexpr std::string_view kNames[] = {"gemm",   "attention", "decode",     "moe_mlp",
                                         "stream", "quantize",  "collective", "moe_exchange"};
  return kNames[op.index()];
}

Flops flops(const Op& op) {
  return {std::visit([](const auto& o) { return count_flops(o); }, op)};
}

Bytes bytes(const Op& op, Dtype dtype) {
  return {std::visit([e = bytes_per_element(dtype)](const auto& o) { return count_bytes(o, e); }, op)};
}

namespace {
std::string shape(const Gemm& g) { return fmt::format("m={} n={} k={}", g.m, g.n, g.k); }
std::string shape(const Attention& a) {
  return fmt::format("b={} s_q={} s_kv={} h_q={} h_kv={} d_qk={} d_v={} causal={} pass={}", a.b, a.s_q, a.s_kv, a.h_q,
                     a.h_kv, a.d_qk, a.d_v, a.is_causal, a.pass == Pass::forward ? "forward" : "backward");
}
std::string shape(const Decode& d) {
  return fmt::format("b={} s_q={} s_kv={} h_q={} h_kv={} d_qk={} d_v={} kv={}", d.b, d.s_q, d.s_kv, d.h_q, d.h_kv,
                     d.d_qk, d.d_v, to_string(d.kv_dtype));
}
std::string shape(const MoeMlp& m) {
  return fmt::format("rows={} experts={} hidden={} width={}", m.rows, m.num_experts, m.hidden, m.width);
}
std::string shape(const Stream& s) { return fmt::format("bytes={}", s.bytes); }
std::string shape(const Quantize& q) { return fmt::format("m={} k={}", q.m, q.k); }
std::string shape(const Collective& c) {
  constexpr std::string_view kKinds[] = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv"};
  return fmt::format("{} bytes={} gpus={}", kKinds[static_cast<int>(c.kind)], c.bytes, c.gpus);
}
std::string shape(const MoeExchange& x) {
  return fmt::format("{} tokens={} hidden={} topk={} experts={} gpus={}", x.is_combine ? "combine" : "dispatch",
                     x.tokens, x.hidden, x.topk, x.num_experts, x.gpus);
}
}  // namespace

std::string describe(const Op& op) {
  return fmt::format("{} {}", name(op), std::visit([](const auto& o) { return shape(o); }, op));
}

}  // namespace traincost::work
