#include <traincost/measure/published.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include <traincost/catalog/chip.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

class Fields {
 public:
  Fields(const CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  [[nodiscard]] std::string text(std::string_view name) const {
    const auto at = column(table_, name);
    return at ? table_.rows[row_][*at] : std::string{};
  }
  [[nodiscard]] std::optional<double> number(std::string_view name) const {
    const auto at = column(table_, name);
    return at ? measure::number(table_, row_, *at) : std::nullopt;
  }
  [[nodiscard]] bool mentions(std::string_view word) const { return text("kernel").find(word) != std::string::npos; }

 private:
  const CsvTable& table_;
  std::size_t row_;
};

// "fp8_e4m3->bf16", "fp16/bf16", "bfloat16": the first format named; block scales where the kernel says so.
std::optional<work::Dtype> dtype(const Fields& f) {
  const auto text = f.text("dtype");
  const auto parsed = work::parse_dtype(text.substr(0, text.find_first_of("-/ ,_")));
  const bool has_block_scales = f.mentions("1x128") || f.mentions("DeepGEMM");
  return parsed == work::Dtype::fp8 && has_block_scales ? work::Dtype::fp8_block : parsed;
}

// A benchmark's name without what tells its rows apart.
std::string provider(std::string name) {
  for (std::string_view word : {" fwd+bwd", " fwd", " bwd", " headdim 64", " headdim 128", " headdim 256"})
    if (const auto at = name.find(word); at != std::string::npos) name.erase(at, word.size());
  return name;
}

std::optional<work::Op> gemm(const Fields& f) {
  const auto m = f.number("m"), n = f.number("n"), k = f.number("k");
  if (!m || !n || !k) return std::nullopt;
  return work::Gemm{.m = *m, .n = *n, .k = *k};
}

// Attention before flash attention writes its scores to memory: another operation.
bool is_flash(const Fields& f) {
  return !f.mentions("PyTorch") && !f.mentions("Standard") && !f.mentions("FlashAttention-1") && !f.mentions("Triton");
}

std::optional<work::Op> attention(const Fields& f) {
  const auto b = f.number("batch"), s = f.number("seq"), h = f.number("heads"), d = f.number("d_qk");
  if (!b || !s || !h || !d || !is_flash(f)) return std::nullopt;
  // A name that states the mask knows it better than the column.
  const bool is_causal = f.mentions("causal=") ? f.mentions("causal=1") : f.number("causal").value_or(1) != 0;
  return work::Attention{.b = *b,
                         .s_q = f.number("s_q").value_or(*s),
                         .s_kv = *s,
                         .h_q = *h,
                         .h_kv = f.number("kv_heads").value_or(*h),
                         .d_qk = *d,
                         .d_v = f.number("d_v").value_or(*d),
                         .is_causal = is_causal,
                         .pass = f.text("pass") == "bwd" ? work::Pass::backward : work::Pass::forward};
}

std::optional<work::Op> mla_decode(const Fields& f) {
  const auto b = f.number("batch"), s = f.number("seq"), h = f.number("heads");
  if (!b || !s || !h) return std::nullopt;
  return work::Decode{.b = *b,
                      .s_q = f.number("s_q").value_or(1),
                      .s_kv = *s,
                      .h_q = *h,
                      .h_kv = 1,
                      .d_qk = f.number("d_qk").value_or(576),
                      .d_v = f.number("d_v").value_or(512),
                      .values_in_keys = true};
}

constexpr double kStreamBytes = 1 << 30;  // what bandwidth benchmarks move at least: far outside any cache

// Rates of kernels that only read or only write say little about those that do both.
std::optional<work::Op> stream(const Fields& f) {
  for (std::string_view one_way : {" read", " init", " Dot", " sum "})
    if (f.mentions(one_way)) return std::nullopt;
  return work::Stream{.bytes = kStreamBytes};
}

std::optional<work::Op> norm(const Fields& f) {
  const auto tokens = f.number("tokens"), hidden = f.number("hidden");
  if (!tokens || !hidden) return std::nullopt;
  const double width = f.text("dtype") == "fp32" ? 4 : 2;
  const double array_bytes = width * *tokens * *hidden;
  // x and its gradient in, one gradient out, and a second kernel that sums the weight's; or x in, y out.
  if (f.mentions(" bwd")) return work::Stream{.bytes = 3 * array_bytes, .kernels = 2};
  return work::Stream{.bytes = 2 * array_bytes};
}

std::optional<work::Op> quantize(const Fields& f) {
  const auto m = f.number("m"), k = f.number("k");
  if (!m || !k) return std::nullopt;
  return work::Quantize{.m = *m, .k = *k};
}

struct Family {
  std::string_view name;
  std::optional<work::Op> (*op)(const Fields&);
};
constexpr std::array kFamilies{Family{"gemm_dense_bf16", gemm},
                               Family{"gemm_dense_fp16", gemm},
                               Family{"gemm_dense_fp8", gemm},
                               Family{"mha_fwd", attention},
                               Family{"mha_fwd_bwd", attention},
                               Family{"gqa_prefill_fwd", attention},
                               Family{"gqa_prefill_bwd", attention},
                               Family{"mla_prefill_dense_fwd", attention},
                               Family{"mla_prefill_dense_bwd", attention},
                               Family{"mla_decode", mla_decode},
                               Family{"memory_bandwidth_dram", stream},
                               Family{"elementwise_norm", norm},
                               Family{"quantize_1x128_128x128", quantize}};

struct Unit {
  std::string_view name;
  double scale;
  enum { seconds, flops_per_s, bytes_per_s } of;
};
constexpr std::array kUnits{
    Unit{"s", 1, Unit::seconds},          Unit{"ms", 1e-3, Unit::seconds},         Unit{"us", 1e-6, Unit::seconds},
    Unit{"ns", 1e-9, Unit::seconds},      Unit{"TFLOPS", 1e12, Unit::flops_per_s}, Unit{"GB/s", 1e9, Unit::bytes_per_s},
    Unit{"TB/s", 1e12, Unit::bytes_per_s}};

std::optional<double> latency(const Fields& f, double flops, double bytes) {
  const auto value = f.number("value");
  const auto unit = std::ranges::find(kUnits, f.text("unit"), &Unit::name);
  if (!value || *value <= 0 || unit == kUnits.end()) return std::nullopt;
  if (unit->of == Unit::seconds) return *value * unit->scale;
  return (unit->of == Unit::flops_per_s ? flops : bytes) / (*value * unit->scale);
}

std::string chip_name(const Fields& f, bool& is_resolved) {
  const auto id = f.text("chip"), name = id.empty() ? f.text("gpu") : id;
  const auto* chip = catalog::find_chip(catalog::chips(), name);
  is_resolved = chip != nullptr;
  return is_resolved ? chip->id : name;
}

void add(Published& out, const Fields& f) {
  const auto family = std::ranges::find(kFamilies, f.text("op_family"), &Family::name);
  const auto format = f.text("op_family").starts_with("memory") ? work::Dtype::bf16 : dtype(f);
  if (family == kFamilies.end() || !format || f.text("metric").find("peak") != std::string::npos) return;
  const auto op = family->op(f);
  if (!op) return;
  const bool is_both = f.text("pass") == "fwd+bwd";
  double flops = work::flops(*op).value;
  if (is_both) {
    auto backward = std::get<work::Attention>(*op);
    backward.pass = work::Pass::backward;
    flops += work::flops(backward).value;
  }
  const auto seconds = latency(f, flops, work::bytes(*op, *format).value);
  if (!seconds || *seconds <= 0) return;
  Row row{.op = *op,
          .dtype = *format,
          .provider = provider(f.text("kernel")),
          .latency = {*seconds},
          .source = f.text("source_path")};
  row.chip = chip_name(f, row.is_resolved);
  (is_both ? out.forward_and_backward : out.rows).push_back(std::move(row));
}

Published from_table(const CsvTable& table) {
  for (std::string_view name : {"kernel", "op_family", "metric", "value", "unit"})
    if (!column(table, name)) throw InputError(fmt::format("{}: no column {}", table.origin, name));
  Published out;
  for (std::size_t row = 0; row < table.rows.size(); ++row) add(out, Fields(table, row));
  return out;
}

}  // namespace

Published parse_published(std::string_view csv, const std::string& origin) {
  return from_table(parse_csv(csv, origin));
}
Published read_published(const std::string& path) { return from_table(read_csv(path)); }

}  // namespace traincost::measure
