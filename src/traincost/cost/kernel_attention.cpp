#include <algorithm>

#include <traincost/catalog/chip.hpp>
#include <traincost/cost/kernel_families.hpp>
#include <traincost/cost/stack.hpp>

namespace traincost::cost {

using work::Dtype;
using work::Pass;

namespace {

void attention(KernelFields& f, Workload& out, double heads, double kv_heads, double d_qk, double d_v) {
  const KernelRow& row = f.row();
  const double seq = f.get("seq", row.seq, 8192);
  work::Attention a{.b = f.get("batch", row.batch, 2),
                    .s_q = row.s_q.value_or(seq),
                    .s_kv = seq,
                    .h_q = f.get("heads", row.heads, heads),
                    .d_qk = f.get("d_qk", row.d_qk, d_qk),
                    .d_v = f.get("d_v", row.d_v, d_v)};
  a.h_kv = row.kv_heads ? *row.kv_heads : kv_heads > 0 ? f.assume("kv_heads", kv_heads) : a.h_q;
  // A kernel's name that states the mask knows it better than the column.
  const auto stated = number_after(row, "causal=");
  a.is_causal = (stated ? *stated : f.get("causal", row.causal, 1)) != 0;
  const Dtype dtype = f.dtype();
  if (!is_backward_only(row)) add(out, a, dtype);
  a.pass = Pass::backward;
  if (is_backward_only(row) || is_both(row)) add(out, a, dtype);
}

// Attention before flash attention: every score goes through memory. Passes over the [b, h, s, s] scores of 2 bytes:
// forward writes them, masks (read, write), softmax (read, write) and reads them once more; backward reads the
// probabilities twice, writes and reads their gradient, and writes and reads twice that of the scores.
void materialise(Workload& out) {
  constexpr double kForwardPasses = 6, kBackwardPasses = 8, kScoreBytes = 2;
  std::vector<WorkloadOp> ops;
  for (const auto& item : out.ops) {
    const auto& a = std::get<work::Attention>(item.op);
    const double rows = a.b * a.h_q * a.s_q;
    const bool is_forward = a.pass == Pass::forward;
    const double products = is_forward ? 1 : 2;
    ops.push_back({work::Gemm{.m = rows, .n = a.s_kv, .k = a.d_qk}, item.dtype, products});
    ops.push_back({work::Gemm{.m = rows, .n = a.d_v, .k = a.s_kv}, item.dtype, products});
    ops.push_back({work::Stream{.bytes = rows * a.s_kv * kScoreBytes * (is_forward ? kForwardPasses : kBackwardPasses)},
                   item.dtype});
  }
  out.ops = ops;
}

// The generation that the kernel's name gives; what it costs was read from these very figures.
Stack::Attention generation(const KernelRow& row) {
  if (mentions(row, "FlashAttention-1")) return Stack::Attention::flash1;
  const bool is_second = mentions(row, "FlashAttention-2") || mentions(row, "Flash Attention 2");
  return is_second || mentions(row, "Triton") ? Stack::Attention::flash2 : Stack::Attention::newest;
}

}  // namespace

void mha(KernelFields& f, Workload& out) {
  const double width = f.row().hidden.value_or(2048);  // FlashAttention's benchmark: 2,048 wide, 16k tokens
  attention(f, out, std::max(1.0, width / f.row().d_qk.value_or(128)), 0, 128, 128);
  if (mentions(f.row(), "PyTorch")) return materialise(out);
  const auto* chip = catalog::find_chip(catalog::chips(), f.row().chip.empty() ? f.row().gpu : f.row().chip);
  if (chip == nullptr) return;
  for (auto& item : out.ops) item.count *= attention_slowdown(generation(f.row()), chip->arch);
}
void gqa(KernelFields& f, Workload& out) { attention(f, out, 64, 8, 128, 128); }
void mla_prefill(KernelFields& f, Workload& out) { attention(f, out, 128, 0, 192, 128); }

void mla_decode(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const bool is_sparse = row.op_family.find("sparse") != std::string::npos;
  const double s_kv = is_sparse ? f.get("topk", row.topk, 2048) : f.get("seq", row.seq, 4096);
  const bool is_fp8_cache = row.op_family.find("fp8kv") != std::string::npos;
  const work::Decode d{.b = f.get("batch", row.batch, 128),
                       .s_q = f.get("s_q", row.s_q, 1),
                       .s_kv = s_kv,
                       .h_q = f.get("heads", row.heads, 128),
                       .h_kv = 1,
                       .d_qk = f.get("d_qk", row.d_qk, 576),
                       .d_v = f.get("d_v", row.d_v, 512),
                       .values_in_keys = true,
                       .kv_dtype = is_fp8_cache ? Dtype::fp8 : Dtype::bf16};
  add(out, d, Dtype::bf16);
}

void sparse_prefill(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  add(out,
      work::Attention{.b = f.get("batch", row.batch, 1),
                      .s_q = f.get("seq", row.seq, 4096),
                      .s_kv = f.get("topk", row.topk, 2048),
                      .h_q = f.get("heads", row.heads, 128),
                      .h_kv = 1,
                      .d_qk = f.get("d_qk", row.d_qk, 576),
                      .d_v = f.get("d_v", row.d_v, 512),
                      .is_causal = false},
      f.dtype());
}

}  // namespace traincost::cost
