#include <traincost/scenario/best_estimate.hpp>

#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

std::optional<cost::Estimate> fitting(const cost::Request& request, const calibrate::Efficiency& efficiency) {
  try {
    auto estimate = cost::estimate(request, efficiency, catalog::prices(), catalog::operating());
    if (!estimate.fits) return std::nullopt;
    return estimate;
  } catch (const InputError&) {
    return std::nullopt;
  }
}

// Without the published parallelism, but with its batch, format and schedule, the layout is searched.
cost::Request searched(cost::Request request) {
  const auto layout = cost::published_layout(request.model, request.gpus);
  auto& published = request.model.published_layout;
  if (!layout || !published) return request;
  request.schedule = layout->schedule;
  request.dtype = layout->dtype;
  published->tensor_par.reset();
  published->pipeline_par.reset();
  published->expert_par.reset();
  return request;
}

}  // namespace

std::optional<cost::Estimate> best_estimate(const catalog::Model& model, const catalog::Chip& chip,
                                            const catalog::Cluster& cluster, double gpus,
                                            const calibrate::Efficiency& efficiency) {
  cost::Request request{.model = model, .chip = chip, .cluster = cluster, .gpus = gpus};
  request.tokens = 1e12;  // neither these nor the price matter to a step
  request.usd_per_gpu_hour = 1;
  auto published = fitting(request, efficiency);
  auto found = fitting(searched(request), efficiency);
  if (!published || (found && found->step.seconds.p50 < published->step.seconds.p50)) return found;
  return published;
}

double sustained_flops(const cost::Estimate& estimate) {
  return estimate.step.model_flops / estimate.step.seconds.p50 / estimate.job.layout.gpus;
}

}  // namespace traincost::scenario
