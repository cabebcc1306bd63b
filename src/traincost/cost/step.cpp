#include <traincost/cost/step.hpp>

#include <fmt/format.h>

#include <cmath>

#include <traincost/cost/bill.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using units::Seconds;

constexpr double kNetworkLogSigma = 0.2;  // of communication that was priced from a data sheet

double model_flops(const Job& job) {
  const auto& m = job.model;
  const auto& l = job.layout;
  const double tokens = l.global_batch * l.seq_len;
  const double looked_up = m.tied_embeddings || !m.active_counts_embedding ? 0 : m.vocab * m.hidden;
  const work::Attention whole{.b = l.global_batch,
                              .s_q = l.seq_len,
                              .s_kv = l.seq_len,
                              .h_q = m.heads,
                              .h_kv = m.kv_heads,
                              .d_qk = m.head_dim,
                              .d_v = m.v_head_dim};
  return 6 * (catalog::active_params(m) - looked_up) * tokens + 3 * m.layers * work::flops(whole).value;
}

Tally kernels(const BlockCost& cost) {
  Tally all = cost.forward;
  all.add(cost.recomputed);
  all.add(cost.input_grad);
  all.add(cost.weight_grad);
  return all;
}

// Kernels of one role err together, roles apart.
double transfer_log_sigma(const Tally& t, Seconds total) {
  double squares = 0;
  for (const double error : t.transfer_error) squares += error * error;
  return std::sqrt(squares) / total.value;
}

double log_sigma(const Pricing& pricing, const BlockCost& busy, const StepTotal& total) {
  return std::hypot(pricing.constants.step_log_sigma, transfer_log_sigma(kernels(busy), total.seconds()),
                    kNetworkLogSigma * (total.gradients / total.seconds()));
}

StepCost price(const Pricing& pricing) {
  const auto& job = pricing.job;
  const Blocks blocks = block_costs(pricing, block_parts(pricing));
  const PipelineCost pipeline = pipeline_cost(pricing, block_table(blocks));
  const auto stages = stage_loads(job, pipeline.plan.chunks.stages);
  const Activations kept = activations(job);
  const StepTotal total = step_total(pricing, pipeline.sums, update_cost(pricing, most_parameters(stages)),
                                     host_traffic(job, stages, kept));
  const BlockCost busy = busy_blocks(blocks, pipeline);
  StepCost result{.log_sigma = log_sigma(pricing, busy, total),
                  .parts = bill(busy, pipeline, total),
                  .pipeline = {.forward = pipeline.times.forward,
                               .input_grad = pipeline.times.input_grad,
                               .weight_grad = pipeline.times.weight_grad,
                               .forward_and_backward = pipeline.times.forward_and_backward,
                               .bubble = pipeline.times.bubble,
                               .optimizer = total.optimizer + total.gradients},
                  .memory = fullest(job, stages, kept),
                  .model_flops = model_flops(job),
                  .busy_fraction = pipeline.sums.kernels / total.seconds(),
                  .stage_pair_seconds = pipeline.first_pair.value};
  result.seconds = log_normal(total.seconds().value, result.log_sigma);
  if (const auto peak = catalog::rate(job.chip, job.layout.dtype))
    result.mfu = result.model_flops / (total.seconds().value * job.layout.gpus * peak->flops_per_s.value);
  return result;
}

}  // namespace

std::string_view to_string(Category category) {
  constexpr std::array<std::string_view, 4> kNames{"compute", "communication", "bubble", "overhead"};
  return kNames[static_cast<std::size_t>(category)];
}

Interval log_normal(double median, double log_sigma) {
  return {.p5 = median * std::exp(-kZ95 * log_sigma), .p50 = median, .p95 = median * std::exp(kZ95 * log_sigma)};
}

StepCost step(const Job& job, const calibrate::ChipEfficiency& efficiency, const Constants& constants) {
  if (const auto why = why_impossible(job.layout, job.model))
    throw InputError(fmt::format("layout of {}: {}", job.model.id.empty() ? job.model.name : job.model.id, *why));
  return price({job, efficiency, constants});
}

StepCost step(const Job& job, const calibrate::Efficiency& efficiency, const Constants& constants) {
  return step(job, efficiency.on(job.chip), constants);
}

LayerTimes layer_times(const Job& job, bool has_experts, const calibrate::ChipEfficiency& efficiency,
                       const Constants& constants) {
  const Pricing pricing{job, efficiency, constants};
  const BlockCost cost = layer_cost(pricing, has_experts);
  const BlockTable table{.dense = block_times(cost)};
  return {.by_role = kernels(cost).by_role,
          .exchange = cost.expert_forward + cost.expert_backward,
          .pair = chunk_times(pricing, {.dense = 1}, table).forward_and_backward};
}

}  // namespace traincost::cost
