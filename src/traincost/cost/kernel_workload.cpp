#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <traincost/catalog/chip.hpp>
#include <traincost/cost/kernel_workload.hpp>
#include <traincost/cost/stack.hpp>

namespace traincost::cost {
namespace {

using work::Dtype;
using work::Pass;

constexpr double kKilobyte = 1e3, kMegabyte = 1e6, kGigabyte = 1e9;

/// Reads fields and notes the defaults taken.
class Fields {
 public:
  Fields(const KernelRow& row, Workload& out) : row_(row), out_(out) {}

  double get(const char* name, const std::optional<double>& value, double otherwise) {
    return value ? *value : assume(name, otherwise);
  }
  double assume(const char* name, double value) {
    out_.assumed.push_back(fmt::format("{}={}", name, value));
    return value;
  }
  [[nodiscard]] const KernelRow& row() const { return row_; }

 private:
  const KernelRow& row_;
  Workload& out_;
};

bool is_backward_only(const KernelRow& row) {
  return row.pass == "bwd" || (row.pass.empty() && (mentions(row, " bwd") || row.op_family.ends_with("_bwd")));
}
bool is_both(const KernelRow& row) { return row.pass == "fwd+bwd" || row.op_family.ends_with("_fwd_bwd"); }

// Times the forward work is done: a backward pass has two products for each of the forward pass.
double passes(const KernelRow& row) {
  if (is_both(row)) return 3;
  return is_backward_only(row) ? 2 : 1;
}

// "fp8_e4m3->bf16", "bf16/fp16 (not stated)", "fp16/bf16": the first format named; block scales where the kernel says
// so.
Dtype dtype_of(const KernelRow& row, Workload& out) {
  std::string text = row.dtype.substr(0, row.dtype.find_first_of("-/ ,_"));
  if (text.empty())
    for (const char* format : {"bf16", "mxfp8", "fp8", "fp16", "tf32"})
      if (row.op_family.find(format) != std::string::npos) {
        text = format;
        break;
      }
  const auto parsed = work::parse_dtype(text);
  if (!parsed) {
    out.assumed.emplace_back("dtype=bf16");
    return Dtype::bf16;
  }
  const bool has_block_scales =
      mentions(row, "1x128") || mentions(row, "block") || mentions(row, "DeepGEMM") || mentions(row, "DeepEP");
  return *parsed == Dtype::fp8 && has_block_scales ? Dtype::fp8_block : *parsed;
}

void add(Workload& out, const work::Op& op, Dtype dtype, double count = 1) {
  out.ops.push_back({op, dtype, count});
  out.counted_flops += count * work::flops(op).value;
  out.counted_bytes += count * work::bytes(op, dtype).value;
}

void add_stream(Workload& out, double bytes) { add(out, work::Stream{.bytes = bytes}, Dtype::bf16); }

// A square product that fills every chip of the catalogue.
constexpr double kLargeGemm = 8192;

void gemm(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const work::Gemm product{
      .m = f.get("m", row.m, kLargeGemm), .n = f.get("n", row.n, kLargeGemm), .k = f.get("k", row.k, kLargeGemm)};
  add(out, product, dtype_of(row, out));
}

// The widths of DeepSeek-V3's experts (arXiv 2412.19437, 4.2), which most published grouped products use.
constexpr double kExpertWidth = 2048, kExpertHidden = 7168, kExperts = 256, kTopk = 8;

void grouped_gemm(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double experts = f.get("experts", row.experts, 1);
  // DeepGEMM's tables give m per group, the others the tokens of all groups.
  const bool is_m_per_group = row.m && mentions(row, "DeepGEMM grouped");
  const double m = is_m_per_group ? *row.m * experts : row.m ? *row.m : f.get("tokens", row.tokens, 32768);
  const double n = f.get("n", row.n, kExpertWidth);
  const double k = row.k ? *row.k : f.get("k", row.hidden, kExpertHidden);
  const bool is_single_product = mentions(row, "grad");  // dgrad or wgrad alone
  const Dtype dtype = dtype_of(row, out);
  add(out, work::Gemm{.m = m, .n = n, .k = k}, dtype, is_single_product ? 1 : passes(row));
  // Every group has weights of its own.
  out.counted_bytes += (experts - 1) * n * k * work::bytes_per_element(dtype);
}

void attention(Fields& f, Workload& out, double heads, double kv_heads, double d_qk, double d_v) {
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
  const Dtype dtype = dtype_of(row, out);
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

void mha(Fields& f, Workload& out) {
  const double width = f.row().hidden.value_or(2048);  // FlashAttention's benchmark: 2,048 wide, 16k tokens
  attention(f, out, std::max(1.0, width / f.row().d_qk.value_or(128)), 0, 128, 128);
  if (mentions(f.row(), "PyTorch")) return materialise(out);
  const auto* chip = catalog::find_chip(catalog::chips(), f.row().chip.empty() ? f.row().gpu : f.row().chip);
  if (chip == nullptr) return;
  for (auto& item : out.ops) item.count *= attention_slowdown(generation(f.row()), chip->arch);
}
void gqa(Fields& f, Workload& out) { attention(f, out, 64, 8, 128, 128); }
void mla_prefill(Fields& f, Workload& out) { attention(f, out, 128, 0, 192, 128); }

void mla_decode(Fields& f, Workload& out) {
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

void sparse_prefill(Fields& f, Workload& out) {
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
      dtype_of(row, out));
}

double gpus_of(Fields& f) {
  const KernelRow& row = f.row();
  if (const auto ranks = number_before(row, "x")) {
    // "EP 8x4": 8 GPUs in each of 4 nodes.
    const auto nodes = number_after(row, fmt::format("{}x", *ranks));
    if (nodes && mentions(row, fmt::format("EP {}x", *ranks))) return *ranks * *nodes;
  }
  if (const auto ranks = number_after(row, "EP")) return *ranks;
  for (const char* word : {"GPUs", "ranks"})
    if (const auto count = number_before(row, word)) return *count;
  if (row.batch) return *row.batch;
  if (const auto nodes = number_before(row, "nodes")) return *nodes * 8;
  return f.assume("gpus", 8);
}

bool is_low_latency(const KernelRow& row) { return mentions(row, "low-latency") || mentions(row, " LL"); }

void add_exchange(Workload& out, const KernelRow& row, const work::MoeExchange& x, Dtype dtype) {
  add(out, x, dtype);
  if (is_low_latency(row))
    out.ops.back().exchange = mentions(row, "pure RDMA") ? Exchange::low_latency_network : Exchange::low_latency;
}

work::MoeExchange exchange_of(Fields& f) {
  const KernelRow& row = f.row();
  return {.tokens = f.get("tokens", row.tokens, is_low_latency(row) ? 128 : 4096),
          .hidden = f.get("hidden", row.hidden, kExpertHidden),
          .topk = f.get("topk", row.topk, kTopk),
          .num_experts = f.get("experts", row.experts, kExperts),
          .gpus = gpus_of(f),
          .is_combine = mentions(row, "combine")};
}

// Distinct destinations of a token when `topk` experts fall evenly on `places`.
double distinct(double topk, double places) { return places * (1 - std::pow(1 - 1 / places, topk)); }

void all_to_all(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const work::MoeExchange x = exchange_of(f);
  const Dtype dtype = dtype_of(row, out);
  add_exchange(out, row, x, dtype);
  // How DeepEP's benchmark counts: low latency every selection; else each token once per destination, its own rank or
  // node included, over the network at most four nodes.
  constexpr double kNodeSize = 8, kNodeLimit = 4;
  const double copies = is_low_latency(row)              ? x.topk
                        : row.metric.ends_with("NVLink") ? distinct(x.topk, x.gpus)
                        : row.metric.ends_with("RDMA")
                            ? std::min(kNodeLimit, distinct(x.topk, std::ceil(x.gpus / kNodeSize)))
                            : distinct(x.topk, x.gpus);
  out.counted_bytes = x.tokens * x.hidden * work::bytes_per_element(dtype) * copies;
}

void moe_layer(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const bool is_llama4 = !row.tokens && row.m;  // tables that name the layer by its product's m, n, k
  const double tokens = is_llama4 ? *row.m : f.get("tokens", row.tokens, 32768);
  const double hidden = row.k && is_llama4 ? *row.k : f.get("hidden", row.hidden, kExpertHidden);
  const double topk = f.get("topk", row.topk, is_llama4 ? 1 : kTopk);
  const work::MoeMlp experts{.rows = tokens * topk,
                             .num_experts = f.get("experts", row.experts, is_llama4 ? 16 : kExperts),
                             .hidden = hidden,
                             .width = f.get("n", row.n, kExpertWidth)};
  const Dtype dtype = dtype_of(row, out);
  const double count = passes(row);
  add(out, experts, dtype, count);
  // Gathering the rows of each expert and summing its results: a token read or written once and topk times.
  const double gather_bytes = 2 * tokens * hidden * (topk + 1) * work::bytes_per_element(Dtype::bf16);
  out.ops.push_back({work::Stream{.bytes = gather_bytes}, Dtype::bf16, is_both(row) ? 2.0 : 1.0});
}

void moe_layer_parallel(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  work::MoeExchange x = exchange_of(f);
  const Dtype dtype = dtype_of(row, out);
  const bool is_whole = !mentions(row, "dispatch") && !mentions(row, "combine") && !mentions(row, "compute");
  if (is_whole || mentions(row, "dispatch") || mentions(row, "combine")) add_exchange(out, row, x, dtype);
  if (is_whole) {
    x.is_combine = true;
    add_exchange(out, row, x, dtype);
  }
  if (is_whole || mentions(row, "compute"))
    add(out,
        work::MoeMlp{.rows = x.tokens * x.topk,
                     .num_experts = std::max(1.0, x.num_experts / x.gpus),
                     .hidden = x.hidden,
                     .width = f.get("n", row.n, kExpertWidth)},
        dtype);
}

void gate(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double tokens = f.get("tokens", row.tokens, 128);
  // fp32 scores in, an index and a weight for each choice out.
  add_stream(out, tokens * (4 * f.get("experts", row.experts, kExperts) + 8 * f.get("topk", row.topk, kTopk)));
}

// Where each row goes: count the experts' rows, sum before each, place; three kernels that wait for one another.
void place_rows(Fields& f, Workload& out) {
  constexpr double kIdBytes = 4, kSteps = 3;
  const double rows = f.get("tokens", f.row().tokens, 4096) * f.get("topk", f.row().topk, kTopk);
  const double counted = out.counted_bytes;
  add(out, work::Stream{.bytes = kIdBytes * rows}, Dtype::bf16, kSteps);
  if (counted > 0) out.counted_bytes = counted;  // beside the rows nobody counts them
}

void permute(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const double topk = f.get("topk", row.topk, kTopk);
  add_stream(out, f.get("tokens", row.tokens, 4096) * f.get("hidden", row.hidden, kExpertHidden) * (1 + topk) *
                      work::bytes_per_element(dtype_of(row, out)));
  place_rows(f, out);
}

void quantize(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  const bool is_weight = !row.m && (mentions(row, " B ") || mentions(row, "weight"));
  const double m = row.m       ? *row.m
                   : is_weight ? f.get("experts", row.experts, 1) * f.get("n", row.n, kExpertWidth)
                               : f.get("tokens", row.tokens, 32768);
  const double k = row.k ? *row.k : f.get("k", row.hidden, kExpertHidden);
  add(out, work::Quantize{.m = m, .k = k}, Dtype::bf16);
}

void norm(Fields& f, Workload& out) {
  const KernelRow& row = f.row();
  // Forward reads and writes the rows; backward reads them and the gradient and writes one.
  const double streams = is_backward_only(row) ? 3 : 2;
  add_stream(out, streams * f.get("tokens", row.tokens, 16384) * f.get("hidden", row.hidden, 8192) *
                      work::bytes_per_element(dtype_of(row, out)));
}

void memory(Fields& f, Workload& out) { add_stream(out, f.assume("bytes", 4 * kGigabyte)); }

double message_bytes(Fields& f) {
  struct Unit {
    const char* name;
    double bytes;
  };
  constexpr double kKibi = 1024;
  constexpr Unit kUnits[] = {{"GiB", kKibi * kKibi * kKibi},
                             {"MiB", kKibi * kKibi},
                             {"KiB", kKibi},
                             {"GB", kGigabyte},
                             {"MB", kMegabyte},
                             {"KB", kKilobyte}};
  for (const auto& [name, bytes] : kUnits)
    if (const auto count = number_before(f.row(), name)) return *count * bytes;
  return f.assume("message_bytes", 8 * kKibi * kKibi * kKibi);
}

void collective(Fields& f, Workload& out) {
  const std::string& family = f.row().op_family;
  struct Name {
    const char* text;
    work::CollectiveKind kind;
  };
  using Kind = work::CollectiveKind;
  constexpr Name kNames[] = {{"reduce-scatter", Kind::reduce_scatter},
                             {"reducescatter", Kind::reduce_scatter},
                             {"all-gather", Kind::all_gather},
                             {"allgather", Kind::all_gather},
                             {"alltoall", Kind::all_to_all},
                             {"all-to-all", Kind::all_to_all},
                             {"send", Kind::send_recv}};
  Kind kind = Kind::all_reduce;
  for (const auto& name : kNames)
    if (family.find(name.text) != std::string::npos) kind = name.kind;
  // busbw: the bytes that each GPU must send, over the time.
  add(out, work::Collective{.kind = kind, .bytes = message_bytes(f), .gpus = gpus_of(f)}, Dtype::bf16);
}

struct Family {
  const char* prefix;
  void (*express)(Fields&, Workload&);
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
    {"moe_gate", gate, nullptr},
    {"moe_permute_index", place_rows, nullptr},
    {"moe_permute", permute, nullptr},
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
      Fields fields(row, out);
      family.express(fields, out);
    }
    return out;
  }
  out.skipped = fmt::format("unknown op_family '{}'", row.op_family);
  return out;
}

}  // namespace traincost::cost
