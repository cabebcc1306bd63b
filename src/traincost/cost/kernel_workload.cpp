#include <fmt/format.h>

#include <traincost/cost/kernel_families.hpp>
#include <traincost/cost/kernel_workload.hpp>

namespace traincost::cost {
namespace {

using work::Dtype;

// A square product that fills every chip of the catalogue.
constexpr double kLargeGemm = 8192;

void gemm(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  if (mentions(row, "educational")) {
    out.skipped = "a lesson in writing kernels, which no run uses";
    return;
  }
  const work::Gemm product{
      .m = f.get("m", row.m, kLargeGemm), .n = f.get("n", row.n, kLargeGemm), .k = f.get("k", row.k, kLargeGemm)};
  add(out, product, f.dtype());
}

void quantize(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const bool is_weight = !row.m && (mentions(row, " B ") || mentions(row, "weight"));
  const double m = row.m       ? *row.m
                   : is_weight ? f.get("experts", row.experts, 1) * f.get("n", row.n, kExpertWidth)
                               : f.get("tokens", row.tokens, 32768);
  // A weight's gradient is that of the outputs, as wide as the expert, times the inputs.
  const bool is_of_outputs = mentions(row, "wgrad_quant_lhs");
  const double k = row.k           ? *row.k
                   : is_of_outputs ? f.get("n", row.n, kExpertWidth)
                                   : f.get("k", row.hidden, kExpertHidden);
  add(out, work::Quantize{.m = m, .k = k}, Dtype::bf16);
}

void norm(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double array_bytes =
      f.get("tokens", row.tokens, 16384) * f.get("hidden", row.hidden, 8192) * work::bytes_per_element(f.dtype());
  // Forward reads and writes the rows; backward reads them and the gradient, writes one, and sums the weight's gradient
  // in a second kernel.
  if (is_backward_only(row))
    add(out, work::Stream{.bytes = 3 * array_bytes, .kernels = 2}, Dtype::bf16);
  else
    add_stream(out, 2 * array_bytes);
}

void memory(KernelFields& f, Workload& out) { add_stream(out, f.assume("bytes", 4e9)); }

struct Family {
  const char* prefix;
  void (*express)(KernelFields&, Workload&);
  const char* skipped;
};

// The first prefix that fits.
constexpr Family kFamilies[] = {
    {"gemm", gemm, nullptr},
    {"device_peak", gemm, nullptr},
    {"moe_grouped_gemm", grouped_gemm, nullptr},
    {"mha", mha, nullptr},
    {"gqa", gqa, nullptr},
    {"mla_prefill_sparse", sparse_prefill, nullptr},
    {"mla_prefill", mla_prefill, nullptr},
    {"mla_decode", mla_decode, nullptr},
    {"moe_all_to_all", all_to_all, nullptr},
    {"moe_layer_fwd_ep", moe_layer_parallel, nullptr},
    {"moe_fused_ep", moe_layer_parallel, nullptr},
    {"moe_layer", moe_layer, nullptr},
    {"moe_gate", moe_gate, nullptr},
    {"moe_permute_index", moe_index, nullptr},
    {"moe_permute", moe_permute, nullptr},
    {"quantize", quantize, nullptr},
    {"elementwise", norm, nullptr},
    {"memory_bandwidth_l2", nullptr, "a cache's bandwidth is in no data sheet"},
    {"memory_bandwidth", memory, nullptr},
    {"memory_latency", nullptr, "the latency of one access is no cost of a kernel"},
    {"collective", collective, nullptr},
    {"link_bandwidth", nullptr, "a copy over the host link is no kernel"},
    {"train_step", nullptr, "a training step: see --runs"},
};

}  // namespace

Workload workload(const KernelRow& row) {
  Workload out;
  for (const auto& family : kFamilies) {
    if (!row.op_family.starts_with(family.prefix)) continue;
    if (family.skipped != nullptr) {
      out.skipped = family.skipped;
    } else {
      KernelFields fields(row, out);
      family.express(fields, out);
    }
    return out;
  }
  out.skipped = fmt::format("unknown op_family '{}'", row.op_family);
  return out;
}

}  // namespace traincost::cost
