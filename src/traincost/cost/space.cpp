#include <traincost/cost/space.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::cost {
namespace {

constexpr double kMaxMicroBatch = 16;
constexpr double kMaxContextPar = 64;
constexpr double kMinContextTokens = 2048;  // shorter shares of a sequence leave nothing to overlap the gathering with

bool divides(double divisor, double value) { return std::fmod(value, divisor) == 0; }

std::vector<double> divisors(double value, double limit) {
  std::vector<double> result;
  for (double d = 1; d <= std::min(value, limit); ++d)
    if (divides(d, value)) result.push_back(d);
  return result;
}

std::vector<double> powers_of_two(double limit) {
  std::vector<double> result;
  for (double v = 1; v <= limit; v *= 2) result.push_back(v);
  return result;
}

template <class T>
std::vector<T> settled_or(const std::optional<T>& settled, std::vector<T> free) {
  return settled ? std::vector{*settled} : std::move(free);
}

// Takes the digit of one list off a mixed-radix index.
template <class T>
const T& take(const std::vector<T>& list, std::uint64_t& index) {
  const T& value = list[index % list.size()];
  index /= list.size();
  return value;
}

bool is_same(const TensorMode& mode, const Layout& l) {
  return l.sequence_par == mode.sequence_par && l.keeps_gathered == mode.keeps_gathered &&
         l.scatters_sends == mode.scatters_sends;
}

// Divisors of any of the counts.
std::vector<double> divisors_of_all(const std::vector<double>& counts, double limit) {
  std::vector<double> result;
  for (const double count : counts)
    for (const double d : divisors(count, limit)) result.push_back(d);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::vector<double> tensor_factors(const catalog::Model& m, const std::vector<double>& gpus, double limit) {
  auto result = divisors_of_all(gpus, limit);
  std::erase_if(result, [&m](double tp) { return !divides(tp, m.heads); });
  return result;
}

std::vector<Order> orders(const catalog::Model& m, const Settled& settled) {
  std::vector<Order> result;
  for (const auto schedule : settled_or(settled.schedule, {Schedule::one_f_one_b, Schedule::interleaved,
                                                           Schedule::zero_bubble, Schedule::dual_pipe})) {
    if (schedule != Schedule::interleaved) {
      result.push_back({schedule, 1});
      continue;
    }
    auto chunks = divisors(m.layers, m.layers / 2);
    for (const double even : {2, 3, 4, 6, 8}) chunks.push_back(even);
    std::sort(chunks.begin(), chunks.end());
    chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
    for (const double v : chunks)
      if (v > 1) result.push_back({schedule, v});
  }
  if (!settled.interleave) return result;
  const auto schedule = settled.schedule.value_or(*settled.interleave > 1 ? Schedule::interleaved : result[0].schedule);
  return {{schedule, *settled.interleave}};
}

std::vector<work::Dtype> formats(const catalog::Chip& chip) {
  const auto plain = catalog::rate(chip, work::Dtype::bf16);
  std::vector<work::Dtype> result{plain ? plain->used : work::Dtype::bf16};
  const auto fp8 = catalog::rate(chip, work::Dtype::fp8);
  if (fp8 && fp8->used == work::Dtype::fp8) result.insert(result.end(), {work::Dtype::fp8, work::Dtype::fp8_block});
  return result;
}

std::vector<RecomputeChoice> recomputes(const Settled& settled) {
  std::vector<RecomputeChoice> all{{Recompute::none},      {Recompute::selective},  {Recompute::full, 0.25},
                                   {Recompute::full, 0.5}, {Recompute::full, 0.75}, {Recompute::full}};
  if (settled.recompute) return {{*settled.recompute}};
  return all;
}

}  // namespace

std::uint64_t layouts_per_item(const Space& s) {
  return s.pipeline_par.size() * s.orders.size() * s.recomputes.size() * s.shardings.size() * s.offloads.size();
}

std::uint64_t items(const Space& s) {
  return s.gpus.size() * s.dtypes.size() * s.tensor_par.size() * s.context_par.size() * s.expert_par.size() *
         s.placements.size() * s.tensor_overlaps.size() * s.tensor_modes.size() * s.micro_batch.size();
}

std::uint64_t size(const Space& space) { return items(space) * layouts_per_item(space); }

Layout layout_at(const Space& s, std::uint64_t index) {
  Layout l = s.rest;
  l.offload = take(s.offloads, index);
  l.sharding = take(s.shardings, index);
  const auto& recompute = take(s.recomputes, index);
  l.recompute = recompute.method;
  l.recompute_share = recompute.share;
  const auto& order = take(s.orders, index);
  l.schedule = order.schedule;
  l.interleave = order.interleave;
  l.pipeline_par = take(s.pipeline_par, index);
  l.micro_batch = take(s.micro_batch, index);
  const auto& mode = take(s.tensor_modes, index);
  l.sequence_par = mode.sequence_par;
  l.keeps_gathered = mode.keeps_gathered;
  l.scatters_sends = mode.scatters_sends;
  l.tensor_overlap = take(s.tensor_overlaps, index);
  l.placement = take(s.placements, index);
  l.expert_par = take(s.expert_par, index);
  l.context_par = take(s.context_par, index);
  l.tensor_par = take(s.tensor_par, index);
  l.dtype = take(s.dtypes, index);
  l.gpus = take(s.gpus, index);
  return l;
}

bool is_possible_item(const Space& s, const catalog::Model& m, const Layout& l) {
  if (!divides(l.tensor_par * l.context_par, l.gpus) || !divides(l.expert_par, l.gpus)) return false;
  if (l.expert_par > 1 && !divides(l.expert_par, m.num_experts)) return false;
  return l.tensor_par > 1 || (l.tensor_overlap == s.tensor_overlaps.front() && is_same(s.tensor_modes.front(), l));
}

bool is_possible_pipeline(const Space& s, const catalog::Model& m, const Layout& l) {
  if (!divides(l.tensor_par * l.context_par * l.pipeline_par, l.gpus)) return false;
  if (!divides(l.expert_par, l.gpus / l.pipeline_par)) return false;
  if (s.whole_micro_batches && !divides(data_par(l) * l.micro_batch, l.global_batch)) return false;
  const auto& first = s.orders.front();
  if (l.pipeline_par == 1 && (l.schedule != first.schedule || l.interleave != first.interleave)) return false;
  if (l.pipeline_par == 1 && l.tensor_par == 1 && l.placement != s.placements.front()) return false;
  if (s.whole_chunks && l.interleave > 1 && s.orders.size() > 1 && !divides(l.pipeline_par * l.interleave, m.layers))
    return false;
  // What DualPipe needs; without, another schedule would run in its memory.
  if (l.schedule == Schedule::dual_pipe && s.orders.size() > 1 &&
      (!divides(2, l.pipeline_par) || micro_batches(l) < 2 * l.pipeline_par))
    return false;
  return !why_impossible(l, m);
}

bool is_possible_choice(const Space& s, const Layout& l) {
  const bool is_sharding_idle = data_par(l) * l.context_par <= 1 && l.gpus <= l.pipeline_par * l.expert_par;
  if (is_sharding_idle && l.sharding != s.shardings.front()) return false;
  return !(l.keeps_gathered && fully_recomputed(l) == 1);  // nothing gathered is kept
}

bool is_possible(const Space& s, const catalog::Model& m, const Layout& l) {
  return is_possible_item(s, m, l) && is_possible_pipeline(s, m, l) && is_possible_choice(s, l);
}

Space layout_space(const Job& job, const std::vector<double>& gpus, const Settled& settled) {
  const auto& m = job.model;
  const double most = *std::max_element(gpus.begin(), gpus.end());
  const double context = std::clamp(job.layout.seq_len / kMinContextTokens, 1.0, kMaxContextPar);
  return {
      .rest = job.layout,
      .gpus = gpus,
      .dtypes = settled_or(settled.dtype, formats(job.chip)),
      .tensor_par = settled_or(settled.tensor_par, tensor_factors(m, gpus, job.cluster.scale_up_gpus)),
      .context_par = settled_or(settled.context_par, powers_of_two(context)),
      .expert_par = settled_or(settled.expert_par, divisors(std::max(1.0, m.num_experts), most)),
      .tensor_modes = {{.sequence_par = job.layout.sequence_par}},
      .micro_batch = settled_or(settled.micro_batch, powers_of_two(std::min(kMaxMicroBatch, job.layout.global_batch))),
      .pipeline_par = settled_or(settled.pipeline_par, divisors_of_all(gpus, m.layers)),
      .orders = orders(m, settled),
      .recomputes = recomputes(settled),
      .shardings = settled_or(settled.sharding, {Sharding::none, Sharding::zero1, Sharding::zero2, Sharding::zero3})};
}

Space execution_space(const Job& job, const std::vector<double>& gpus, const Settled& settled) {
  Space space = layout_space(job, gpus, settled);
  space.tensor_par = settled_or(settled.tensor_par, tensor_factors(job.model, gpus, job.model.heads));
  space.placements = {Placement::tensor_first, Placement::pipeline_first, Placement::packed, Placement::network};
  space.tensor_overlaps = {TensorOverlap::none, TensorOverlap::pipe, TensorOverlap::ring};
  space.tensor_modes = {{.sequence_par = true},
                        {.sequence_par = true, .keeps_gathered = true},
                        {.sequence_par = false},
                        {.sequence_par = false, .scatters_sends = false}};
  space.offloads.clear();
  for (const bool weights : {false, true})
    for (const bool kept : {false, true})
      for (const bool states : {false, true})
        space.offloads.push_back({.weights = weights, .activations = kept, .optimizer = states});
  return space;
}

}  // namespace traincost::cost
