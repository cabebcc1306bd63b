#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <traincost/measure/csv.hpp>
#include <traincost/measure/row_record.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

struct Record {
  const RowRecord& record;

  [[nodiscard]] std::string_view text(std::string_view name) const {
    const auto at = record.columns.find(name);
    return at == record.columns.end() ? std::string_view{} : record.fields[at->second];
  }
  [[noreturn]] void fail(std::string_view name, std::string_view expected) const {
    throw InputError(fmt::format("{}: {} = \"{}\", expected {}", record.where, name, text(name), expected));
  }
  [[nodiscard]] std::string_view required(std::string_view name) const {
    const auto value = text(name);
    if (value.empty()) fail(name, "a value");
    return value;
  }
  [[nodiscard]] double number(std::string_view name) const {
    const auto value = parse_number(required(name));
    if (!value || *value < 0) fail(name, "a finite number that is not negative");
    return *value;
  }
  [[nodiscard]] double number_or(std::string_view name, double otherwise) const {
    return text(name).empty() ? otherwise : number(name);
  }
  [[nodiscard]] bool flag_or(std::string_view name, bool otherwise) const { return number_or(name, otherwise) != 0; }
  [[nodiscard]] work::Dtype dtype(std::string_view name) const {
    const auto value = work::parse_dtype(required(name));
    if (!value) fail(name, "an element format");
    return *value;
  }
};

work::Op gemm(const Record& r) { return work::Gemm{.m = r.number("m"), .n = r.number("n"), .k = r.number("k")}; }

work::Pass pass(const Record& r) {
  const auto text = r.text("pass");
  if (text.empty() || text == "forward") return work::Pass::forward;
  if (text != "backward") r.fail("pass", "forward or backward");
  return work::Pass::backward;
}

work::Op attention(const Record& r) {
  const double d_qk = r.number("d_qk"), h_q = r.number("h_q"), s_q = r.number("s_q");
  return work::Attention{.b = r.number("b"),
                         .s_q = s_q,
                         .s_kv = r.number_or("s_kv", s_q),
                         .h_q = h_q,
                         .h_kv = r.number_or("h_kv", h_q),
                         .d_qk = d_qk,
                         .d_v = r.number_or("d_v", d_qk),
                         .is_causal = r.flag_or("is_causal", true),
                         .pass = pass(r)};
}

work::Op decode(const Record& r) {
  return work::Decode{.b = r.number("b"),
                      .s_q = r.number_or("s_q", 1),
                      .s_kv = r.number("s_kv"),
                      .h_q = r.number("h_q"),
                      .h_kv = r.number("h_kv"),
                      .d_qk = r.number("d_qk"),
                      .d_v = r.number("d_v"),
                      .values_in_keys = r.flag_or("values_in_keys", false),
                      .kv_dtype = r.text("kv_dtype").empty() ? work::Dtype::bf16 : r.dtype("kv_dtype")};
}

work::Op moe_mlp(const Record& r) {
  return work::MoeMlp{.rows = r.number("rows"),
                      .num_experts = r.number("num_experts"),
                      .hidden = r.number("hidden"),
                      .width = r.number("width"),
                      .imbalance = r.number_or("imbalance", 1)};
}

work::Op stream(const Record& r) { return work::Stream{.bytes = r.number("bytes")}; }
work::Op quantize(const Record& r) { return work::Quantize{.m = r.number("m"), .k = r.number("k")}; }

work::Op collective(const Record& r) {
  constexpr std::array<std::string_view, 5> kKinds{"all_reduce", "all_gather", "reduce_scatter", "all_to_all",
                                                   "send_recv"};
  const auto at = std::ranges::find(kKinds, r.required("kind"));
  if (at == kKinds.end()) r.fail("kind", "all_reduce, all_gather, reduce_scatter, all_to_all or send_recv");
  return work::Collective{.kind = static_cast<work::CollectiveKind>(at - kKinds.begin()),
                          .bytes = r.number("bytes"),
                          .gpus = r.number("gpus")};
}

work::Op moe_exchange(const Record& r) {
  return work::MoeExchange{.tokens = r.number("tokens"),
                           .hidden = r.number("hidden"),
                           .topk = r.number("topk"),
                           .num_experts = r.number("num_experts"),
                           .gpus = r.number("gpus"),
                           .is_combine = r.flag_or("is_combine", false)};
}

struct OpReader {
  std::string_view name;
  work::Op (*read)(const Record&);
};
constexpr std::array kOps{OpReader{"gemm", gemm},
                          OpReader{"attention", attention},
                          OpReader{"decode", decode},
                          OpReader{"moe_mlp", moe_mlp},
                          OpReader{"stream", stream},
                          OpReader{"quantize", quantize},
                          OpReader{"collective", collective},
                          OpReader{"moe_exchange", moe_exchange}};

work::Op op(const Record& r) {
  const auto found = std::ranges::find(kOps, r.required("op"), &OpReader::name);
  if (found == kOps.end()) r.fail("op", "the name of an operation");
  return found->read(r);
}

Mode mode(const Record& r) {
  constexpr std::array<std::string_view, 4> kModes{"cold", "hot", "graph", "unstated"};
  if (r.text("mode").empty()) return Mode::unstated;
  const auto at = std::ranges::find(kModes, r.text("mode"));
  if (at == kModes.end()) r.fail("mode", "cold, hot, graph or unstated");
  return static_cast<Mode>(at - kModes.begin());
}

// A latency is read whatever its sign: the quarantine counts the impossible ones.
double latency(const Record& r) {
  const auto value = parse_number(r.required("latency_s"));
  if (!value) r.fail("latency_s", "a finite number of seconds");
  return *value;
}

}  // namespace

Row make_row(const RowRecord& record) {
  const Record r{record};
  return {.op = op(r),
          .dtype = r.dtype("dtype"),
          .chip = std::string(r.required("chip")),
          .provider = std::string(r.text("provider")),
          .latency = {latency(r)},
          .mode = mode(r),
          .source = std::string(r.text("source"))};
}

}  // namespace traincost::measure
