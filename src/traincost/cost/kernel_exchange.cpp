#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <traincost/cost/kernel_families.hpp>

namespace traincost::cost {

using work::Dtype;

namespace {

constexpr double kKilobyte = 1e3, kMegabyte = 1e6, kGigabyte = 1e9;

double gpus_of(KernelFields& f) {
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

work::MoeExchange exchange_of(KernelFields& f) {
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

double message_bytes(KernelFields& f) {
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

}  // namespace

void all_to_all(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  const work::MoeExchange x = exchange_of(f);
  const Dtype dtype = f.dtype();
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

void moe_layer_parallel(KernelFields& f, Workload& out) {
  const KernelRow& row = f.row();
  work::MoeExchange x = exchange_of(f);
  const Dtype dtype = f.dtype();
  const bool is_whole = !mentions(row, "dispatch") && !mentions(row, "combine") && !mentions(row, "compute");
  if (is_whole || mentions(row, "dispatch") || mentions(row, "combine")) add_exchange(out, row, x, dtype);
  if (is_whole) {
    x.is_combine = true;
    add_exchange(out, row, x, dtype);
  }
  if (!is_whole && !mentions(row, "compute")) return;
  // The low-latency kernels leave room for every token of every GPU with each expert; the products run over all of it,
  // and each of its rows belongs to one expert.
  const double slots = is_low_latency(row) ? x.tokens * x.num_experts : x.tokens * x.topk;
  add(out,
      work::MoeMlp{.rows = slots,
                   .num_experts = std::max(1.0, x.num_experts / x.gpus),
                   .hidden = x.hidden,
                   .width = f.get("n", row.n, kExpertWidth)},
      dtype);
  if (is_low_latency(row)) out.ops.push_back(gather_and_sum(slots, x.hidden, 1));
}

void collective(KernelFields& f, Workload& out) {
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

}  // namespace traincost::cost
