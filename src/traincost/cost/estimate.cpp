#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <traincost/cost/estimate.hpp>
#include <traincost/cost/search.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

// Tokens of an optimizer step where nothing is published: the order of GPT-3 and Llama (arXiv 2005.14165, 2302.13971).
constexpr double kDefaultBatchTokens = 4.0 * 1024 * 1024;

double known(const std::optional<double>& value, double otherwise) { return value.value_or(otherwise); }

double seq_len_of(const Request& r) {
  if (r.seq_len) return *r.seq_len;
  if (r.model.published_layout && r.model.published_layout->seq_len) return *r.model.published_layout->seq_len;
  return r.model.seq_len > 0 ? r.model.seq_len : 4096;
}

double global_batch_of(const Request& r, double seq_len) {
  if (r.global_batch) return *r.global_batch;
  if (r.model.published_layout && r.model.published_layout->global_batch)
    return *r.model.published_layout->global_batch;
  // A power of two divides among most data-parallel ranks; at least one sequence for each GPU.
  const double sequences = std::max(kDefaultBatchTokens / seq_len, r.gpus);
  return std::exp2(std::round(std::log2(sequences)));
}

bool has_parallelism(const Request& r) { return r.tensor_par || r.pipeline_par || r.context_par || r.expert_par; }

bool has_layout(const Request& r) {
  return has_parallelism(r) || r.micro_batch || r.interleave || r.schedule || r.recompute || r.sharding;
}

template <class T>
void apply(T& field, const std::optional<T>& value) {
  if (value) field = *value;
}

Layout with_request(Layout layout, const Request& r) {
  apply(layout.tensor_par, r.tensor_par);
  apply(layout.pipeline_par, r.pipeline_par);
  apply(layout.context_par, r.context_par);
  apply(layout.expert_par, r.expert_par);
  apply(layout.micro_batch, r.micro_batch);
  apply(layout.interleave, r.interleave);
  apply(layout.schedule, r.schedule);
  apply(layout.recompute, r.recompute);
  apply(layout.sharding, r.sharding);
  apply(layout.dtype, r.dtype);
  return layout;
}

// A chip without the format computes in the one that it falls back to; the layout says so.
void use_format_of_chip(Layout& layout, const catalog::Chip& chip, std::vector<std::string>& assumptions) {
  const auto rate = catalog::rate(chip, layout.dtype);
  if (!rate) throw InputError(fmt::format("chip {}: no rate is known for {}", chip.id, work::to_string(layout.dtype)));
  const bool is_fp8_kind = layout.dtype == work::Dtype::fp8_block && rate->used == work::Dtype::fp8;
  if (rate->used == layout.dtype || is_fp8_kind) return;
  assumptions.push_back(fmt::format("{} has no {}: the matrix products run in {}", chip.id,
                                    work::to_string(layout.dtype), work::to_string(rate->used)));
  layout.dtype = rate->used;
}

// What a buyer would run today.
Stack stack_for(const catalog::Model& model, const catalog::Chip& chip, const Layout& layout) {
  Stack stack{.graphs = Stack::Graphs::blackwell};
  if (layout.schedule == Schedule::dual_pipe) stack.expert_overlap = Stack::ExpertOverlap::always;
  stack.exchange = catalog::is_blackwell(chip) ? Stack::Exchange::hybridep : Stack::Exchange::deepep;
  stack.dispatches_fp8 = true;
  if (model.published_layout && model.published_layout->routing_nodes)
    stack.expert_nodes_limit = *model.published_layout->routing_nodes;
  else
    stack.expert_nodes_limit = model.topk_groups;
  stack.has_parallel_block = model.is_parallel_block;
  return stack;
}

// Routers of real runs balance, but not exactly.
Job job_of(const Request& r, Layout layout) {
  if (catalog::is_moe(r.model)) layout.routing = Routing::dropless;
  return {.model = r.model,
          .chip = r.chip,
          .cluster = r.cluster,
          .layout = layout,
          .stack = stack_for(r.model, r.chip, layout)};
}

struct Choice {
  Layout layout;
  std::string basis;
};

Choice searched(const Request& r, const Layout& base, const calibrate::ChipEfficiency& efficiency) {
  Job job = job_of(r, base);
  // As job_of says of the layouts found: DualPipe alone hides the all-to-all.
  job.stack.expert_overlap = Stack::ExpertOverlap::none;
  Settled settled = settled_by(r);
  settled.dtype = base.dtype;
  if (has_parallelism(r)) {  // who names one kind of parallelism has the others in mind
    settled.tensor_par = base.tensor_par;
    settled.pipeline_par = base.pipeline_par;
    settled.context_par = base.context_par;
    settled.expert_par = base.expert_par;
  }
  Space space = layout_space(job, {base.gpus}, settled);
  auto best = fastest(space, job, efficiency);
  space.whole_micro_batches = false;
  if (!best) best = fastest(space, job, efficiency);
  if (!best)
    throw InputError(fmt::format("no layout of {} on {} x {} fits into memory", r.model.id, r.gpus, r.chip.id));
  return {*best, "fastest found that fits"};
}

Choice choose(const Request& r, const calibrate::ChipEfficiency& efficiency, std::vector<std::string>& assumptions) {
  const auto published = published_layout(r.model, r.gpus);
  Layout base = published.value_or(Layout{.gpus = r.gpus});
  base.seq_len = seq_len_of(r);
  base.global_batch = global_batch_of(r, base.seq_len);
  base = with_request(base, r);
  use_format_of_chip(base, r.chip, assumptions);
  if (!published || !r.model.published_layout) return searched(r, base, efficiency);
  if (has_layout(r)) return {base, "published, changed as asked"};
  if (!why_impossible(base, r.model) && fits(memory(job_of(r, base)), r.chip))
    return {base, fmt::format("published: {}", r.model.published_layout->source)};
  assumptions.emplace_back("the published layout does not fit this chip: another was searched");
  return searched(r, base, efficiency);
}

}  // namespace

std::optional<Layout> published_layout(const catalog::Model& model, double gpus) {
  if (!model.published_layout) return std::nullopt;
  const catalog::PublishedLayout& p = *model.published_layout;
  if (!p.tensor_par && !p.pipeline_par && !p.expert_par) return std::nullopt;  // no layout, only a batch
  Layout layout{.gpus = gpus,
                .tensor_par = known(p.tensor_par, 1),
                .pipeline_par = known(p.pipeline_par, 1),
                .context_par = known(p.context_par, 1),
                .expert_par = known(p.expert_par, 1),
                .micro_batch = known(p.micro_batch, 1),
                .interleave = known(p.interleave, 1),
                .global_batch = known(p.global_batch, 0),
                .seq_len = known(p.seq_len, model.seq_len)};
  layout.schedule =
      parse_schedule(p.schedule).value_or(layout.interleave > 1 ? Schedule::interleaved : Schedule::one_f_one_b);
  layout.recompute = parse_recompute(p.recompute).value_or(layout.recompute);
  layout.sharding = parse_sharding(p.sharding).value_or(layout.sharding);
  layout.dtype = work::parse_dtype(p.dtype).value_or(layout.dtype);
  const double ranks = layout.tensor_par * layout.pipeline_par * layout.context_par;
  if (std::fmod(gpus, ranks) != 0) return std::nullopt;
  return layout;
}

Job published_job(const catalog::Model& model, const catalog::Chip& chip, const catalog::Cluster& cluster) {
  const double gpus = model.published_layout ? known(model.published_layout->gpus, 0) : 0;
  const auto layout = gpus > 0 ? published_layout(model, gpus) : std::nullopt;
  if (!layout) throw InputError(fmt::format("model {}: no published layout", model.id));
  return {
      .model = model, .chip = chip, .cluster = cluster, .layout = *layout, .stack = stack_for(model, chip, *layout)};
}

Settled settled_by(const Request& r) {
  return {.tensor_par = r.tensor_par,
          .pipeline_par = r.pipeline_par,
          .context_par = r.context_par,
          .expert_par = r.expert_par,
          .micro_batch = r.micro_batch,
          .interleave = r.interleave,
          .schedule = r.schedule,
          .recompute = r.recompute,
          .sharding = r.sharding,
          .dtype = r.dtype};
}

Job job_to_search(const Request& r) {
  Layout layout{.gpus = r.gpus, .seq_len = seq_len_of(r)};
  layout.global_batch = global_batch_of(r, layout.seq_len);
  return job_of(r, layout);
}

Estimate estimate(const Request& request, const calibrate::Efficiency& efficiency,
                  const std::vector<catalog::Price>& prices, const catalog::Operating& operating) {
  Estimate out{.tokens = request.tokens};
  const calibrate::ChipEfficiency on_chip = efficiency.on(request.chip);
  const Choice choice = choose(request, on_chip, out.assumptions);
  if (const auto why = why_impossible(choice.layout, request.model)) throw InputError("layout: " + *why);
  out.job = job_of(request, choice.layout);
  out.layout_basis = choice.basis;
  out.step = step(out.job, on_chip);
  out.fits = fits(out.step.memory, request.chip);
  out.budget = run_budget(out.step, out.job, request.tokens, prices, operating, request.usd_per_gpu_hour);
  if (!request.global_batch && !(request.model.published_layout && request.model.published_layout->global_batch))
    out.assumptions.push_back(fmt::format("global batch {} sequences", choice.layout.global_batch));
  return out;
}

std::vector<PartDifference> differences(const StepCost& first, const StepCost& second) {
  std::vector<PartDifference> out;
  const auto entry = [&out](const std::string& name) -> PartDifference& {
    const auto found = std::find_if(out.begin(), out.end(), [&name](const auto& d) { return d.name == name; });
    return found != out.end() ? *found : out.emplace_back(PartDifference{.name = name});
  };
  for (const auto& part : first.parts) entry(part.name).first += part.seconds;
  for (const auto& part : second.parts) entry(part.name).second += part.seconds;
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::abs((a.second - a.first).value) > std::abs((b.second - b.first).value);
  });
  return out;
}

std::string limit(const StepCost& step) {
  constexpr double kWorthNaming = 0.05;
  const Part* longest = nullptr;
  for (const auto& part : step.parts)
    if (part.category != Category::compute && (longest == nullptr || longest->seconds < part.seconds)) longest = &part;
  const bool is_worth_naming = longest != nullptr && longest->seconds.value > kWorthNaming * step.seconds.p50;
  return is_worth_naming ? longest->name : "compute";
}

}  // namespace traincost::cost
