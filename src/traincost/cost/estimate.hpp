#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/catalog/price.hpp>
#include <traincost/cost/job.hpp>
#include <traincost/cost/run_budget.hpp>
#include <traincost/cost/space.hpp>
#include <traincost/cost/step.hpp>

namespace traincost::cost {

/// What a user asks: a run, and what of its layout is settled already.
struct Request {
  catalog::Model model;
  catalog::Chip chip;
  catalog::Cluster cluster;
  double gpus = 0, tokens = 0;
  std::optional<double> global_batch, seq_len;
  std::optional<double> tensor_par, pipeline_par, context_par, expert_par, micro_batch, interleave;
  std::optional<Schedule> schedule;
  std::optional<Recompute> recompute;
  std::optional<Sharding> sharding;
  std::optional<work::Dtype> dtype;
  std::optional<double> usd_per_gpu_hour;
};

/// What the request leaves no choice in, and the run that a search is about; of its layout, batch and sequence are set.
Settled settled_by(const Request& request);
Job job_to_search(const Request& request);

/// The answer, with all that it rests on.
struct Estimate {
  Job job;
  double tokens = 0;
  std::string layout_basis;  // "published (source)", "best of those that fit", "given"
  StepCost step;
  RunBudget budget;
  bool fits = false;                     // into the chip's memory
  std::vector<std::string> assumptions;  // what was not asked and had to be settled
};

/// Throws InputError where no layout can be or a figure is missing.
Estimate estimate(const Request& request, const calibrate::Efficiency& efficiency,
                  const std::vector<catalog::Price>& prices, const catalog::Operating& operating);

/// The layout in which the model's publisher trained it, with as many data-parallel ranks as `gpus` allow; nullopt when
/// none is published or it does not divide.
std::optional<Layout> published_layout(const catalog::Model& model, double gpus);

/// A current stack and the published layout on as many GPUs as were published. Throws InputError when there is none.
Job published_job(const catalog::Model& model, const catalog::Chip& chip, const catalog::Cluster& cluster);

/// Seconds of a part in two steps; parts that only one of them has count as 0 in the other.
struct PartDifference {
  std::string name;
  units::Seconds first, second;
};
/// Largest difference first.
std::vector<PartDifference> differences(const StepCost& first, const StepCost& second);

/// What a step waits for most beside computing ("pipeline bubble"), or "compute" if nothing takes a twentieth of it.
std::string limit(const StepCost& step);

}  // namespace traincost::cost
