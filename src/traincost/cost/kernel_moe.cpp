#include <algorithm>

#include <traincost/cost/kernel_families.hpp>

namespace traincost::cost {

using work::Dtype;

void grouped_gemm(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double experts = f.get("experts", row.experts, 1);
  // DeepGEMM's tables give m per group, the others the tokens of all groups.
  const bool is_m_per_group = row.m && mentions(row, "DeepGEMM grouped");
  const double m = is_m_per_group ? *row.m * experts : row.m ? *row.m : f.get("tokens", row.tokens, 32768);
  const double n = f.get("n", row.n, kExpertWidth);
  const double k = row.k ? *row.k : f.get("k", row.hidden, kExpertHidden);
  const bool is_single_product = mentions(row, "grad");  // dgrad or wgrad alone
  const Dtype dtype = f.dtype();
  add(out, work::Gemm{.m = m, .n = n, .k = k}, dtype, is_single_product ? 1 : passes(row));
  // Every group has weights of its own.
  out.counted_bytes += (experts - 1) * n * k * work::bytes_per_element(dtype);
}

void moe_layer(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const bool is_llama4 = !row.tokens && row.m;  // tables that name the layer by its product's m, n, k
  const double tokens = is_llama4 ? *row.m : f.get("tokens", row.tokens, 32768);
  const double hidden = row.k && is_llama4 ? *row.k : f.get("hidden", row.hidden, kExpertHidden);
  const double topk = f.get("topk", row.topk, is_llama4 ? 1 : kTopk);
  const work::MoeMlp experts{.rows = tokens * topk,
                             .num_experts = f.get("experts", row.experts, is_llama4 ? 16 : kExperts),
                             .hidden = hidden,
                             .width = f.get("n", row.n, kExpertWidth)};
  const Dtype dtype = f.dtype();
  const double count = passes(row);
  add(out, experts, dtype, count);
  // Gathering the rows of each expert and summing its results: a token read or written once and topk times.
  const double gather_bytes = 2 * tokens * hidden * (topk + 1) * work::bytes_per_element(Dtype::bf16);
  out.ops.push_back({work::Stream{.bytes = gather_bytes}, Dtype::bf16, is_both(row) ? 2.0 : 1.0});
}

void moe_gate(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double tokens = f.get("tokens", row.tokens, 128);
  // fp32 scores in, an index and a weight for each choice out.
  add_stream(out, tokens * (4 * f.get("experts", row.experts, kExperts) + 8 * f.get("topk", row.topk, kTopk)));
}

namespace {

// Where each row goes: count the experts' rows, sum before each, place; three kernels that wait for one another.
WorkloadOp placing(KernelFields& f) {
  constexpr double kIdBytes = 4, kSteps = 3;
  const double rows = f.get("tokens", f.row().tokens, 4096) * f.get("topk", f.row().topk, kTopk);
  return {work::Stream{.bytes = kIdBytes * rows}, Dtype::bf16, kSteps};
}

}  // namespace

void moe_index(KernelFields& f, Workload& out) {
  const auto item = placing(f);
  add(out, item.op, item.dtype, item.count);
}

void moe_permute(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double topk = f.get("topk", row.topk, kTopk);
  add_stream(out, f.get("tokens", row.tokens, 4096) * f.get("hidden", row.hidden, kExpertHidden) * (1 + topk) *
                      work::bytes_per_element(f.dtype()));
  out.ops.push_back(placing(f));  // beside the rows nobody counts their ids
}

}  // namespace traincost::cost
