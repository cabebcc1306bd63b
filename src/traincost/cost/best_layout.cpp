#include <traincost/cost/best_layout.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace traincost::cost {
namespace {

std::vector<double> powers_of_two(double limit) {
  std::vector<double> result;
  for (double v = 1; v <= limit; v *= 2) result.push_back(v);
  return result;
}

bool divides(double divisor, double value) { return std::fmod(value, divisor) == 0; }

std::vector<Layout> parallelisms(const Job& job, bool is_free) {
  const Layout& base = job.layout;
  if (!is_free) return {base};
  std::vector<Layout> result;
  const double node = job.cluster.scale_up_gpus;
  for (const double tp : powers_of_two(std::min({node, 16.0, job.model.heads})))
    for (const double pp : powers_of_two(std::min(job.model.layers / 2, 64.0)))
      for (const double cp : powers_of_two(base.seq_len >= 16384 ? 16 : 1))
        for (const double ep : powers_of_two(std::max(1.0, job.model.num_experts))) {
          Layout l = base;
          l.tensor_par = tp;
          l.pipeline_par = pp;
          l.context_par = cp;
          l.expert_par = ep;
          if (job.model.num_experts > 0 && !divides(ep, job.model.num_experts)) continue;
          if (!divides(tp * pp * cp, l.gpus) || micro_batches(l) < 1) continue;
          if (pp > 1 && l.sharding == Sharding::zero3) continue;
          result.push_back(l);
        }
  return result;
}

void set_interleave(Layout& l, double chunks) {
  l.interleave = chunks;
  if (chunks > 1) l.schedule = Schedule::interleaved;
  if (chunks == 1 && l.schedule == Schedule::interleaved) l.schedule = Schedule::one_f_one_b;
}

std::vector<double> interleaves(const Job& job, const Layout& l, bool is_free) {
  if (!is_free || l.pipeline_par == 1 || l.schedule == Schedule::dual_pipe || l.schedule == Schedule::zero_bubble)
    return {l.interleave};
  std::vector<double> result{1};
  for (const double v : {2.0, 3.0, 4.0, 6.0})
    if (divides(l.pipeline_par * v, job.model.layers)) result.push_back(v);
  return result;
}

// From cheap to lean: the first that fits is the fastest.
std::vector<std::pair<Recompute, double>> recomputes(const Layout& l, bool is_free) {
  if (!is_free) return {{l.recompute, l.recompute_share}};
  return {{Recompute::none, 1},   {Recompute::selective, 1}, {Recompute::full, 0.25},
          {Recompute::full, 0.5}, {Recompute::full, 0.75},   {Recompute::full, 1}};
}

}  // namespace

std::optional<Layout> best_layout(const Job& job, const calibrate::ChipEfficiency& efficiency, const FreeFactors& free,
                                  const Constants& constants) {
  std::optional<Layout> best;
  double best_seconds = 0;
  Job candidate = job;
  for (const auto& parallel : parallelisms(job, free.parallelism))
    for (const double chunks : interleaves(job, parallel, free.interleave))
      for (const double micro : free.micro_batch ? std::vector{1.0, 2.0, 4.0, 8.0} : std::vector{parallel.micro_batch})
        for (const auto& [recompute, share] : recomputes(parallel, free.recompute)) {
          Layout& l = candidate.layout = parallel;
          l.micro_batch = micro;
          l.recompute = recompute;
          l.recompute_share = share;
          if (free.interleave) set_interleave(l, chunks);
          if (why_impossible(l, job.model)) continue;
          if (!fits(memory(candidate), job.chip)) continue;
          const double seconds = step(candidate, efficiency, constants).seconds.p50;
          if (!best || seconds < best_seconds) {
            best = l;
            best_seconds = seconds;
          }
          break;  // more recompute than needed only costs
        }
  return best;
}

}  // namespace traincost::cost
