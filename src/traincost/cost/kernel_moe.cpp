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
  auto around = gather_and_sum(tokens, hidden, topk);
  around.count = is_both(row) ? 2 : 1;
  out.ops.push_back(around);
}

void moe_gate(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double tokens = f.get("tokens", row.tokens, 128);
  // fp32 scores in, an index and a weight for each choice out.
  add_stream(out, tokens * (4 * f.get("experts", row.experts, kExperts) + 8 * f.get("topk", row.topk, kTopk)));
}

namespace {

constexpr double kIdBytes = 4;

double slots(KernelFields& f) { return f.get("tokens", f.row().tokens, 4096) * f.get("topk", f.row().topk, kTopk); }

// Kernels that wait for one another. Count the experts' rows, sum before each, place; but where the name is that of
// vLLM's and SGLang's function, what these libraries launch, and their benchmark with it: copies of the three outputs.
double index_steps(const KernelRow& row, double slots) {
  constexpr double kCounted = 3, kCopies = 3, kTriton = 2 + 4 /* two cleared tables, four stages */;
  if (!mentions(row, "moe_align_block_size")) return kCounted;
  if (mentions(row, "Triton")) return kCopies + kTriton;
  constexpr double kSmallSlots = 1024, kSmallExperts = 64;  // up to here one block does it all
  const bool is_one = mentions(row, "old") || (slots < kSmallSlots && row.experts.value_or(kExperts) <= kSmallExperts);
  return kCopies + (is_one ? 1 : 2);
}

}  // namespace

void moe_index(KernelFields& f, Workload& out) {
  const double count = slots(f);
  add(out, work::Stream{.bytes = kIdBytes * count}, Dtype::bf16, index_steps(f.row(), count));
}

// The kernels walk the experts' order, where the copies of a token lie far apart: each is read from memory. Their
// authors count it read once, and the ids of the rows not at all.
void moe_permute(KernelFields& f, Workload& out) {
  const double count = slots(f);
  const double tokens = f.row().tokens.value_or(4096);
  const double row_bytes = f.get("hidden", f.row().hidden, kExpertHidden) * work::bytes_per_element(f.dtype());
  out.counted_bytes = (tokens + count) * row_bytes;
  out.ops.push_back({work::Stream{.bytes = 2 * count * row_bytes}});
  out.ops.push_back({.op = work::Stream{.bytes = kIdBytes * count}, .count = index_steps(f.row(), count)});
}

}  // namespace traincost::cost
