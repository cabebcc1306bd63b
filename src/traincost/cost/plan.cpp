#include <traincost/cost/plan.hpp>

#include <fmt/format.h>

#include <traincost/cost/best_layout.hpp>
#include <traincost/cost/memory.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using catalog::PublishedLayout;

constexpr double kBatchTokens = 4 << 20;  // of the default global batch: common in the reports of 2023-25
constexpr double kSeqLen = 4096;

// The published text when it names one of ours, else the default.
template <class Value, class Parse>
Value parse_or(const std::string& text, Parse parse, Value otherwise) {
  return parse(text).value_or(otherwise);
}

Layout published_base(const catalog::Model& m) {
  Layout l;
  const PublishedLayout published = m.published_layout.value_or(PublishedLayout{});
  l.tensor_par = published.tensor_par.value_or(1);
  l.pipeline_par = published.pipeline_par.value_or(1);
  l.expert_par = published.expert_par.value_or(1);
  l.context_par = published.context_par.value_or(1);
  l.micro_batch = published.micro_batch.value_or(1);
  l.interleave = published.interleave.value_or(1);
  l.schedule = parse_or(published.schedule, parse_schedule, l.interleave > 1 ? Schedule::interleaved : l.schedule);
  l.recompute = parse_or(published.recompute, parse_recompute, Recompute::none);
  l.sharding = parse_or(published.sharding, parse_sharding, Sharding::zero1);
  l.dtype = parse_or(published.dtype, work::parse_dtype, work::Dtype::bf16);
  l.seq_len = published.seq_len.value_or(m.seq_len > 0 ? m.seq_len : kSeqLen);
  l.global_batch = published.global_batch.value_or(0);
  return l;
}

// A current stack, with what the published training did beyond it.
Stack stack_of(const catalog::Model& m, const Layout& l) {
  Stack s;
  s.dedups_expert_par = true;
  s.overlaps_expert_par = l.schedule == Schedule::dual_pipe;
  s.scales_fp8_by_block = l.dtype == work::Dtype::fp8_block;
  if (m.published_layout) s.expert_nodes_limit = m.published_layout->routing_nodes.value_or(0);
  return s;
}

bool has_degrees(const catalog::Model& m) {
  return m.published_layout && (m.published_layout->tensor_par || m.published_layout->pipeline_par);
}

void apply(const Request& request, Layout& l) {
  l.gpus = request.gpus;
  const auto set = [](auto& field, const auto& wanted) {
    if (wanted) field = *wanted;
  };
  set(l.seq_len, request.seq_len);
  set(l.global_batch, request.global_batch);
  set(l.tensor_par, request.tensor_par);
  set(l.pipeline_par, request.pipeline_par);
  set(l.expert_par, request.expert_par);
  set(l.context_par, request.context_par);
  set(l.micro_batch, request.micro_batch);
  set(l.interleave, request.interleave);
  if (request.interleave) l.schedule = *request.interleave > 1 ? Schedule::interleaved : Schedule::one_f_one_b;
  set(l.schedule, request.schedule);
  set(l.recompute, request.recompute);
  set(l.sharding, request.sharding);
  set(l.dtype, request.dtype);
}

bool fits_memory(const Job& job) { return fits(memory(job), job.chip); }

}  // namespace

Planned plan(const catalog::Model& model, const catalog::Chip& chip, const catalog::Cluster& cluster,
             const Request& request, const calibrate::Efficiency& efficiency, const Constants& constants) {
  Planned planned{.job = {.model = model, .chip = chip, .cluster = cluster, .layout = published_base(model)}};
  Layout& l = planned.job.layout;
  auto& assumptions = planned.assumptions;
  apply(request, l);
  if (l.global_batch <= 0) {
    l.global_batch = std::max(1.0, kBatchTokens / l.seq_len);
    assumptions.push_back(fmt::format("global batch of {:.0f} sequences (4M tokens)", l.global_batch));
  }
  const auto rate = catalog::rate(chip, l.dtype);
  if (!rate)
    throw InputError(fmt::format("{}: no dense rate for {} or what it falls back to", chip.id, to_string(l.dtype)));
  if (rate->used != l.dtype) {
    assumptions.push_back(
        fmt::format("{} in place of {}, which {} lacks", to_string(rate->used), to_string(l.dtype), chip.id));
    l.dtype = rate->used;
  }
  planned.job.stack = stack_of(model, l);

  const bool is_given = request.tensor_par || request.pipeline_par || request.expert_par || request.context_par;
  if ((has_degrees(model) || is_given) && !why_impossible(l, model) && fits_memory(planned.job)) {
    planned.layout_origin = is_given ? "given" : fmt::format("published ({})", model.published_layout->source);
    return planned;
  }
  if (is_given) {
    const auto why = why_impossible(l, model);
    throw InputError(
        fmt::format("layout {}: {}", describe(l),
                    why ? *why
                        : fmt::format("{:.1f} GB per GPU do not fit the {:.1f} GB of {}",
                                      memory(planned.job).total() / 1e9, capacity(chip)->value / 1e9, chip.id)));
  }
  if (has_degrees(model))
    assumptions.push_back(
        fmt::format("the published layout does not divide over {:.0f} GPUs or does not fit {}", l.gpus, chip.id));
  const FreeFactors free{.parallelism = true,
                         .micro_batch = !request.micro_batch,
                         .interleave = !request.interleave && !request.schedule,
                         .recompute = !request.recompute};
  const auto found = best_layout(planned.job, efficiency.on(chip), free, constants);
  if (!found)
    throw InputError(fmt::format("{} on {:.0f} {}: no layout fits {:.1f} GB of memory per GPU", model.id, l.gpus,
                                 chip.id, capacity(chip).value_or(units::Bytes{}).value / 1e9));
  l = *found;
  planned.layout_origin = "best found";
  return planned;
}

}  // namespace traincost::cost
