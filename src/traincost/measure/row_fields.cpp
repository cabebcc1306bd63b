#include <traincost/measure/row_fields.hpp>

#include <array>

namespace traincost::measure {
namespace {

Fields fields(const work::Gemm& g) { return {.numbers = {{"m", g.m}, {"n", g.n}, {"k", g.k}}}; }
Fields fields(const work::Attention& a) {
  return {.numbers = {{"b", a.b},
                      {"s_q", a.s_q},
                      {"s_kv", a.s_kv},
                      {"h_q", a.h_q},
                      {"h_kv", a.h_kv},
                      {"d_qk", a.d_qk},
                      {"d_v", a.d_v},
                      {"is_causal", a.is_causal ? 1.0 : 0.0}},
          .words = {{"pass", a.pass == work::Pass::forward ? "forward" : "backward"}}};
}
Fields fields(const work::Decode& d) {
  return {.numbers = {{"b", d.b},
                      {"s_q", d.s_q},
                      {"s_kv", d.s_kv},
                      {"h_q", d.h_q},
                      {"h_kv", d.h_kv},
                      {"d_qk", d.d_qk},
                      {"d_v", d.d_v},
                      {"values_in_keys", d.values_in_keys ? 1.0 : 0.0}},
          .words = {{"kv_dtype", std::string(work::to_string(d.kv_dtype))}}};
}
Fields fields(const work::MoeMlp& m) {
  return {.numbers = {{"rows", m.rows},
                      {"num_experts", m.num_experts},
                      {"hidden", m.hidden},
                      {"width", m.width},
                      {"imbalance", m.imbalance}}};
}
Fields fields(const work::Stream& s) { return {.numbers = {{"bytes", s.bytes}}}; }
Fields fields(const work::Quantize& q) { return {.numbers = {{"m", q.m}, {"k", q.k}}}; }
Fields fields(const work::Collective& c) {
  constexpr std::array kKinds{"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv"};
  return {.numbers = {{"bytes", c.bytes}, {"gpus", c.gpus}},
          .words = {{"kind", kKinds[static_cast<std::size_t>(c.kind)]}}};
}
Fields fields(const work::MoeExchange& x) {
  return {.numbers = {{"tokens", x.tokens},
                      {"hidden", x.hidden},
                      {"topk", x.topk},
                      {"num_experts", x.num_experts},
                      {"gpus", x.gpus},
                      {"is_combine", x.is_combine ? 1.0 : 0.0}}};
}

}  // namespace

Fields fields_of(const work::Op& op) {
  Fields out = std::visit([](const auto& o) { return fields(o); }, op);
  out.words["op"] = work::name(op);
  return out;
}

}  // namespace traincost::measure
