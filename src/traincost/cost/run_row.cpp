#include <traincost/cost/run_row.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <traincost/cost/interconnect.hpp>
#include <traincost/cost/search.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

// What of a layout the row does not say.
struct FreeFactors {
  bool parallelism = true;  // tensor, pipeline, expert, context
  bool micro_batch = true, interleave = true, recompute = true;
};

using catalog::AttentionKind;

// Defaults of blank fields, each with the reason.
constexpr double kVocab = 51200;          // GPT-2's, padded by Megatron
constexpr double kSeqLen = 2048;          // of GPT-3
constexpr double kBatchTokens = 4 << 20;  // 4M tokens, common in the reports of 2023-25
constexpr double kGpus = 1024;            // GPU-hours hardly depend on it
constexpr double kHiddenPerLayer = 128;   // aspect ratio of GPT-3-like shapes
constexpr double kGpusPerNode = 8;

// NCCL's verbs get 40.5 Gb/s out of a 100 Gb/s Omni-Path adapter (all-reduce of 4 GB over 4 nodes of 8 A100 on Jean
// Zay: bigscience-workshop/bigscience, experiments/bandwidth/all_reduce_bench-a100-n4.txt). Of InfiniBand and RoCE the
// fitted network_efficiency, 0.8, is left.
constexpr double kOmniPath = 0.405 / 0.8;

struct Skip {
  std::string why;
};

// The fields of one row, and what was assumed for blank ones.
class Fields {
 public:
  Fields(const measure::CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  [[nodiscard]] std::string text(std::string_view name) const {
    const auto at = measure::column(table_, name);
    return at ? table_.rows[row_][*at] : "";
  }
  // Text such as "unknown(>=1)" counts as blank.
  [[nodiscard]] std::optional<double> figure(std::string_view name) const {
    const auto value = measure::parse_number(text(name));
    if (value && *value < 0) throw Skip{fmt::format("{} = {} is negative", name, *value)};
    return value;
  }
  double figure_or(std::string_view name, double otherwise) {
    if (const auto value = figure(name)) return *value;
    assumed.push_back(fmt::format("{}={:g}", name, otherwise));
    return otherwise;
  }
  void assume(std::string_view name, std::string_view value) { assumed.push_back(fmt::format("{}={}", name, value)); }

  std::vector<std::string> assumed;

 private:
  const measure::CsvTable& table_;
  std::size_t row_;
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Layers and hidden size of a GPT-like model of that many parameters: 12 layers hidden^2.
void infer_shape(catalog::Model& m, Fields& f) {
  const auto total = f.figure("total_params_B");
  if (m.layers <= 0 && m.hidden <= 0) {
    if (!total) throw Skip{"neither layers and hidden nor total_params_B"};
    m.layers = std::max(1.0, std::round(std::cbrt(*total * 1e9 / (12 * kHiddenPerLayer * kHiddenPerLayer))));
    f.assume("layers", fmt::format("{}", m.layers));
  }
  if (m.hidden <= 0) {
    m.hidden = total ? std::round(std::sqrt(*total * 1e9 / (12 * m.layers)) / 128) * 128 : m.layers * kHiddenPerLayer;
    f.assume("hidden", fmt::format("{}", m.hidden));
  }
  if (m.layers <= 0) {
    if (!total) throw Skip{"neither layers nor total_params_B"};
    m.layers = std::max(1.0, std::round(*total * 1e9 / (12 * m.hidden * m.hidden)));
    f.assume("layers", fmt::format("{}", m.layers));
  }
}

AttentionKind attention_kind(const Fields& f) {
  const auto text = f.text("attention");
  if (text == "mla" || f.figure("kv_lora_rank").value_or(0) > 0) return AttentionKind::mla;
  return text == "gqa" || text == "mqa" ? AttentionKind::gqa : AttentionKind::mha;
}

void read_experts(catalog::Model& m, Fields& f) {
  m.num_experts = f.figure("moe_experts").value_or(0);
  if (m.num_experts <= 1) {
    m.num_experts = 0;
    return;
  }
  m.topk = f.figure_or("moe_topk", 2);
  m.expert_ffn = f.figure_or("moe_ffn", m.ffn);
  m.shared_experts = f.figure("moe_shared").value_or(0);
  m.dense_layers = f.figure("moe_dense_layers").value_or(0);
}

catalog::Model read_model(Fields& f) {
  catalog::Model m;
  m.name = f.text("model");
  m.layers = f.figure("layers").value_or(0);
  m.hidden = f.figure("hidden").value_or(0);
  infer_shape(m, f);
  m.attention = attention_kind(f);
  m.heads = f.figure_or("heads", std::max(1.0, std::round(m.hidden / 128)));
  m.kv_heads = f.figure("kv_heads").value_or(m.heads);
  m.head_dim = f.figure("head_dim").value_or(m.hidden / m.heads);
  m.v_head_dim = f.figure("v_head_dim").value_or(m.head_dim);
  m.kv_lora_rank = f.figure("kv_lora_rank").value_or(0);
  m.q_lora_rank = f.figure("q_lora_rank").value_or(0);
  m.rope_dim = f.figure("rope_dim").value_or(0);
  const bool is_gated = f.text("ffn_type") != "gelu" && f.text("ffn_type") != "relu";
  m.ffn_kind = is_gated ? catalog::FfnKind::swiglu : catalog::FfnKind::gelu;
  m.position = is_gated ? catalog::PositionKind::rotary : catalog::PositionKind::learned;
  m.is_layer_norm = !is_gated;
  m.ffn = f.figure_or("ffn", is_gated ? std::round(m.hidden * 8 / 3) : 4 * m.hidden);
  m.vocab = f.figure_or("vocab", kVocab);
  m.tied_embeddings = f.text("tied_embeddings") == "1";
  m.mtp_layers = f.figure("mtp").value_or(0);
  read_experts(m, f);
  return m;
}

catalog::Chip read_chip(const Fields& f) {
  for (const auto column : {"chip", "gpu"})
    if (const auto* chip = catalog::find_chip(catalog::chips(), f.text(column))) return *chip;
  throw Skip{fmt::format("unknown chip '{}' ('{}')", f.text("chip"), f.text("gpu"))};
}

catalog::Cluster read_cluster(Fields& f, const catalog::Chip& chip) {
  auto cluster = catalog::default_cluster(chip);
  if (const auto per_node = f.figure("gpus_per_node"))
    cluster.gpus_per_node = *per_node;
  else
    f.assume("gpus_per_node", fmt::format("{}", cluster.gpus_per_node > 0 ? cluster.gpus_per_node : kGpusPerNode));
  const auto fabric = f.text("interconnect");
  if (const auto network = parse_interconnect(fabric, cluster.gpus_per_node))
    cluster.network_bytes_per_s = contains(fabric, "Omni-Path") ? *network * kOmniPath : *network;
  return cluster;
}

work::Dtype read_dtype(Fields& f, const Stack& stack) {
  const auto text = f.text("precision");
  if (contains(text, "mxfp8")) return work::Dtype::mxfp8;
  // DeepSeek's recipe scales by blocks, Transformer Engine's by tensors.
  if (contains(text, "fp8")) return stack.scales_fp8_by_block ? work::Dtype::fp8_block : work::Dtype::fp8;
  if (const auto dtype = work::parse_dtype(text)) return *dtype;
  f.assume("precision", "bf16");
  return work::Dtype::bf16;
}

Sharding read_sharding(Fields& f, double pipeline_par) {
  const auto text = f.text("sharding");
  if (contains(text, "megatron-fsdp")) return pipeline_par > 1 ? Sharding::zero1 : Sharding::zero3;
  if (contains(text, "zero2")) return Sharding::zero2;
  if (contains(text, "zero3") || contains(text, "fsdp")) return Sharding::zero3;
  if (contains(text, "zero1") || contains(text, "distributed-optimizer")) return Sharding::zero1;
  if (contains(text, "ddp") || contains(text, "none") || contains(text, "zero0")) return Sharding::none;
  f.assume("sharding", "zero1");
  return Sharding::zero1;
}

Routing read_routing(Fields& f, const catalog::Model& m) {
  if (m.num_experts <= 0) return Routing::balanced;
  const auto text = f.text("routing");
  if (contains(text, "balance")) return Routing::balanced;
  if (contains(text, "drop") && !contains(text, "dropless")) return Routing::token_drop;
  if (text.empty()) f.assume("routing", "dropless");
  return Routing::dropless;
}

void read_schedule(Layout& l, const Fields& f, FreeFactors& free) {
  const auto text = f.text("interleave");
  if (text == "DualPipe") l.schedule = Schedule::dual_pipe;
  if (contains(text, "zero-bubble")) l.schedule = Schedule::zero_bubble;
  if (const auto chunks = f.figure("interleave"); chunks && *chunks > 1 && l.pipeline_par > 1) {
    l.interleave = *chunks;
    l.schedule = Schedule::interleaved;
  }
  free.interleave = text.empty() || contains(text, "unknown");
}

void read_recompute(Layout& l, const Fields& f, FreeFactors& free) {
  const auto text = f.text("recompute");
  free.recompute = text.empty();
  if (contains(text, "selective"))
    l.recompute = Recompute::selective;
  else if (contains(text, "full"))
    l.recompute = Recompute::full;
}

AttentionImpl read_attention_impl(Fields& f, const Stack& stack) {
  const auto text = f.text("attention_impl");
  if (text == "materialised") return AttentionImpl::materialised;
  if (text == "flash") return AttentionImpl::flash;
  // FlashAttention reached the training frameworks during 2023.
  const bool is_old = stack.year < 2023;
  f.assume("attention_impl", is_old ? "materialised" : "flash");
  return is_old ? AttentionImpl::materialised : AttentionImpl::flash;
}

void read_batch(Layout& l, Fields& f, bool in_gpu_hours) {
  l.seq_len = f.figure("seq_len").value_or(0);
  if (l.seq_len <= 0) l.seq_len = f.figure_or("seq_len_default", kSeqLen);
  if (const auto sequences = f.figure("global_batch_sequences"); sequences && *sequences > 0)
    l.global_batch = *sequences;
  else if (const auto tokens = f.figure("global_batch_tokens"); tokens && *tokens > 0)
    l.global_batch = *tokens / l.seq_len;
  else if (in_gpu_hours)
    l.global_batch = f.figure_or("global_batch_tokens", kBatchTokens) / l.seq_len;
  else
    throw Skip{"no global batch"};
}

Layout read_layout(Fields& f, const catalog::Model& m, const Stack& stack, bool in_gpu_hours, FreeFactors& free) {
  Layout l;
  if (const auto gpus = f.figure("gpus"); gpus && *gpus > 0)
    l.gpus = *gpus;
  else if (in_gpu_hours)
    l.gpus = f.figure_or("gpus", kGpus);
  else
    throw Skip{"no number of GPUs"};
  read_batch(l, f, in_gpu_hours);
  const auto tp = f.figure("tp"), pp = f.figure("pp"), ep = f.figure("ep"), cp = f.figure("cp");
  free.parallelism = !tp && !pp && (!ep || *ep <= 1);
  l.tensor_par = tp.value_or(1);
  l.pipeline_par = pp.value_or(1);
  l.context_par = cp.value_or(1);
  l.expert_par = ep.value_or(1);
  if (const auto micro = f.figure("micro_batch"); micro && *micro > 0) {
    l.micro_batch = *micro;
    free.micro_batch = false;
  }
  read_schedule(l, f, free);
  read_recompute(l, f, free);
  l.sharding = read_sharding(f, l.pipeline_par);
  l.attention_impl = read_attention_impl(f, stack);
  l.routing = read_routing(f, m);
  l.dtype = read_dtype(f, stack);
  l.sequence_par = l.tensor_par > 1 && (stack.shards_sequence || contains(f.text("recompute"), "+sp"));
  return l;
}

std::optional<double> reported_seconds(const Fields& f, const Layout& l) {
  if (const auto seconds = measure::parse_number(f.text("seconds_per_iteration_derived"))) return seconds;
  const auto value = measure::parse_number(f.text("reported_value"));
  if (!value || *value <= 0) return std::nullopt;
  const auto quantity = f.text("reported_quantity");
  if (quantity == "seconds_per_iteration") return value;
  if (quantity == "tokens_per_gpu_s") return l.global_batch * l.seq_len / (*value * l.gpus);
  return std::nullopt;  // TFLOPS need the source's own FLOP count
}

// Layouts that the row leaves open, of those in common use.
Space open_space(const Job& job, const FreeFactors& free) {
  const Layout& l = job.layout;
  Settled settled{.sharding = l.sharding, .dtype = l.dtype};
  if (!free.parallelism) {
    settled.tensor_par = l.tensor_par;
    settled.pipeline_par = l.pipeline_par;
    settled.context_par = l.context_par;
    settled.expert_par = l.expert_par;
  } else if (l.sharding == Sharding::zero3) {
    settled.pipeline_par = 1;
  }
  if (!free.micro_batch) settled.micro_batch = l.micro_batch;
  if (!free.recompute) settled.recompute = l.recompute;
  Space space = layout_space(job, {l.gpus}, settled);
  space.whole_micro_batches = false;
  space.whole_chunks = true;
  std::erase_if(space.micro_batch, [&](double micro) { return free.micro_batch && micro > 8; });
  std::erase_if(space.context_par, [&](double cp) { return free.parallelism && cp > 1 && l.seq_len < 16384; });
  const auto is_rare = [](const Order& o) {
    return o.schedule == Schedule::zero_bubble || o.schedule == Schedule::dual_pipe || o.interleave > 6;
  };
  const Order given{l.schedule, l.interleave};
  if (!free.interleave || is_rare(given))
    space.orders = {given};
  else
    std::erase_if(space.orders, is_rare);
  return space;
}

// Fills what the row left open by the fastest layout that fits.
void complete(Job& job, const calibrate::Efficiency& efficiency, const FreeFactors& free, Fields& f) {
  if (!free.parallelism && !free.micro_batch && !free.interleave && !free.recompute) return;
  const auto found = fastest(open_space(job, free), job, efficiency.on(job.chip));
  if (found)
    job.layout = *found;
  else if (free.recompute)
    job.layout.recompute = Recompute::full;  // nothing fits by the memory model, and yet it ran: the leanest variant
  if (free.parallelism) f.assume("layout", describe(job.layout));
  if (free.micro_batch && !free.parallelism) f.assume("micro_batch", fmt::format("{:g}", job.layout.micro_batch));
  if (free.interleave && job.layout.pipeline_par > 1)
    f.assume("interleave", fmt::format("{:g}", job.layout.interleave));
  if (free.recompute) f.assume("recompute", to_string(job.layout.recompute));
}

RunRow read_row(Fields& f, const calibrate::Efficiency& efficiency) {
  RunRow row{.id = f.text("id"),
             .family = f.text("family"),
             .precision = f.text("precision"),
             .kind = f.text("kind"),
             .tier = f.text("tier"),
             .in_gpu_hours = f.text("reported_quantity") == "gpu_hours"};
  try {
    Job job;
    FreeFactors free;
    job.chip = read_chip(f);
    job.stack = parse_stack(f.text("stack"), f.text("features"));
    job.model = read_model(f);
    job.layout = read_layout(f, job.model, job.stack, row.in_gpu_hours, free);
    job.cluster = read_cluster(f, job.chip);
    if (row.in_gpu_hours) {
      const auto tokens = f.figure("tokens_T");
      if (!tokens) throw Skip{"GPU-hours without tokens_T"};
      row.tokens = *tokens * 1e12;
      row.reported = measure::parse_number(f.text("reported_value"));
    } else {
      row.reported = reported_seconds(f, job.layout);
    }
    complete(job, efficiency, free, f);
    if (const auto why = why_impossible(job.layout, job.model)) throw Skip{*why};
    // A capacity for each expert comes with NCCL's all-to-all alone (Megatron-Core's moe_expert_capacity_factor).
    if (job.layout.routing == Routing::token_drop) job.stack.exchange = Stack::Exchange::all_to_all;
    row.job = std::move(job);
  } catch (const Skip& skip) {
    row.skipped = skip.why;
  } catch (const InputError& error) {
    row.skipped = error.what();
  }
  row.assumed = std::move(f.assumed);
  return row;
}

}  // namespace

std::vector<RunRow> run_rows(const measure::CsvTable& table, const calibrate::Efficiency& efficiency) {
  if (!measure::column(table, "id"))
    throw InputError(fmt::format("{}: no column 'id': expected the columns of published runs", table.origin));
  std::vector<RunRow> rows;
  rows.reserve(table.rows.size());
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    Fields fields(table, i);
    rows.push_back(read_row(fields, efficiency));
  }
  return rows;
}

}  // namespace traincost::cost
