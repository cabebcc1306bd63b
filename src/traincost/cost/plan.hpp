#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/constants.hpp>
#include <traincost/cost/job.hpp>

namespace traincost::cost {

/// What a user fixes of a layout; the rest is the model's published layout, else the best that fits.
struct Request {
  double gpus = 1;
  std::optional<double> global_batch /* sequences */, seq_len;
  std::optional<double> tensor_par, pipeline_par, expert_par, context_par, micro_batch, interleave;
  std::optional<Schedule> schedule;
  std::optional<Recompute> recompute;
  std::optional<Sharding> sharding;
  std::optional<work::Dtype> dtype;
};

struct Planned {
  Job job;
  std::string layout_origin;             // "published (arXiv ...)", "best found", "given"
  std::vector<std::string> assumptions;  // what was decided for the user, a line each
};

/// The published layout where the model has one that divides over `gpus` and fits the chip's memory; else the fastest
/// found (`best_layout`). A format that the chip lacks becomes the one it falls back to. Throws InputError when nothing
/// fits or what was fixed cannot be.
Planned plan(const catalog::Model& model, const catalog::Chip& chip, const catalog::Cluster& cluster,
             const Request& request, const calibrate::Efficiency& efficiency,
             const Constants& constants = default_constants());

}  // namespace traincost::cost
