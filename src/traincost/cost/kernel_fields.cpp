#include <fmt/format.h>

#include <traincost/cost/kernel_fields.hpp>

namespace traincost::cost {

using work::Dtype;

double KernelFields::assume(const char* name, double value) {
  out_.assumed.push_back(fmt::format("{}={}", name, value));
  return value;
}

// "fp8_e4m3->bf16", "bf16/fp16 (not stated)", "fp16/bf16": the first format named.
Dtype KernelFields::dtype() {
  std::string text = row_.dtype.substr(0, row_.dtype.find_first_of("-/ ,_"));
  if (text.empty())
    for (const char* format : {"bf16", "mxfp8", "fp8", "fp16", "tf32"})
      if (row_.op_family.find(format) != std::string::npos) {
        text = format;
        break;
      }
  const auto parsed = work::parse_dtype(text);
  if (!parsed) {
    out_.assumed.emplace_back("dtype=bf16");
    return Dtype::bf16;
  }
  const bool has_block_scales =
      mentions(row_, "1x128") || mentions(row_, "block") || mentions(row_, "DeepGEMM") || mentions(row_, "DeepEP");
  return *parsed == Dtype::fp8 && has_block_scales ? Dtype::fp8_block : *parsed;
}

bool is_backward_only(const KernelRow& row) {
  return row.pass == "bwd" || (row.pass.empty() && (mentions(row, " bwd") || row.op_family.ends_with("_bwd")));
}
bool is_both(const KernelRow& row) { return row.pass == "fwd+bwd" || row.op_family.ends_with("_fwd_bwd"); }

double passes(const KernelRow& row) {
  if (is_both(row)) return 3;
  return is_backward_only(row) ? 2 : 1;
}

void add(Workload& out, const work::Op& op, Dtype dtype, double count) {
  out.ops.push_back({op, dtype, count});
  out.counted_flops += count * work::flops(op).value;
  out.counted_bytes += count * work::bytes(op, dtype).value;
}

void add_stream(Workload& out, double bytes) { add(out, work::Stream{.bytes = bytes}, Dtype::bf16); }

WorkloadOp gather_and_sum(double tokens, double hidden, double topk) {
  return {work::Stream{.bytes = 2 * tokens * hidden * (topk + 1) * work::bytes_per_element(Dtype::bf16)}};
}

}  // namespace traincost::cost
