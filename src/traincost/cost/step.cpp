#include <traincost/cost/step.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <traincost/cost/network.hpp>
#include <traincost/cost/schedule.hpp>
#include <traincost/cost/stages.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using calibrate::Origin;
using units::Bytes;
using units::Seconds;
using work::CollectiveKind;

constexpr double kActivationBytes = 2;
// Adam per parameter: gradient, master copy and two moments read (16), the latter three written (12), the 2-byte copy
// written (2); the gradient read for its norm and cleared (8).
constexpr double kAdamBytes = 38;
constexpr double kTablesYear = 2026;      // when the kernels of the measured tables were built
constexpr double kNetworkLogSigma = 0.2;  // of communication that was priced from a data sheet

// Seconds of a list of kernels by role.
struct Tally {
  std::array<Seconds, kRoles> by_role{};
  std::array<double, kRoles> transfer_error{};  // seconds x log_sigma of kernels that were not measured on the chip
  std::array<Origin, kRoles> origin{};
  double launches = 0;

  Seconds total() const {
    Seconds sum;
    for (const auto s : by_role) sum += s;
    return sum;
  }
  void add(const Tally& other, double times = 1) {
    for (std::size_t i = 0; i < kRoles; ++i) {
      by_role[i] += other.by_role[i] * times;
      transfer_error[i] += other.transfer_error[i] * times;
      origin[i] = std::max(origin[i], other.origin[i]);
    }
    launches += other.launches * times;
  }
};

// The four passes of a block, and the communication that belongs to each.
struct BlockCost {
  Tally forward, recomputed, input_grad, weight_grad;
  Seconds tensor_forward, tensor_backward;  // tensor-parallel collectives, exposed part
  Seconds context_forward, context_backward;
  Seconds expert_forward, expert_backward;  // all-to-all, whole
  Seconds gather_forward, gather_backward;  // ZeRO-3 parameter gathering and gradient scattering, exposed part
  Seconds host_forward, host_backward;      // waiting for launches
};

// How much less energy a chip has per operation at its data-sheet rate than an A100, which holds its clock: (A100's
// W per FLOP/s) / (the chip's) - 1, at least 0. Short timings run at the boost clock; a training step does not (an H800
// sustains 865 of 989 TFLOPS: published kernel k0160).
double power_shortage(const catalog::Chip& chip) {
  constexpr double kComfortable = 400 / 312e12;
  const auto watts = chip.uncapped_tdp_watts ? chip.uncapped_tdp_watts : chip.tdp_watts;
  const auto rate = catalog::rate(chip, work::Dtype::bf16);
  if (!watts || !rate) return 0;
  return std::max(0.0, kComfortable * rate->flops_per_s.value / watts->value - 1);
}

class StepPricer {
 public:
  StepPricer(const Job& job, const calibrate::ChipEfficiency& efficiency, const Constants& constants)
      : job_(job),
        l_(job.layout),
        efficiency_(efficiency),
        constants_(constants),
        network_(job.cluster, job.chip, efficiency, constants),
        host_{constants.host_seconds * (1 + constants.host_yearly_gain * (kTablesYear - job.stack.year))},
        throttle_(1 + constants.throttle * power_shortage(job.chip)),
        slowdown_(constants.compute_slowdown * (1 + constants.yearly_gain * (kTablesYear - job.stack.year))) {}

  StepCost price();
  LayerTimes layer(bool has_experts) const;

 private:
  Tally tally(const std::vector<Kernel>& kernels) const;
  BlockCost block_cost(const Block& block) const;
  BlockCost layer_cost(bool has_experts) const;
  void add_tensor_communication(BlockCost& cost, bool has_experts) const;
  void add_context_communication(BlockCost& cost) const;
  void add_expert_communication(BlockCost& cost) const;
  void add_parameter_gathering(BlockCost& cost, bool has_experts) const;
  ChunkTimes chunk_times(const std::vector<const BlockCost*>& blocks) const;
  Seconds gradient_seconds(Seconds last_backward) const;
  Seconds optimizer_seconds() const;

  const Job& job_;
  const Layout& l_;
  const calibrate::ChipEfficiency& efficiency_;
  const Constants& constants_;
  Network network_;
  Seconds host_;     // per launch
  double throttle_;  // of products, under the power limit
  double slowdown_;  // of every kernel in this step against the same kernel alone in the tables
};

Tally StepPricer::tally(const std::vector<Kernel>& kernels) const {
  Tally result;
  for (const auto& kernel : kernels) {
    const auto timing = efficiency_.time(kernel.op, kernel.dtype);
    const auto role = static_cast<std::size_t>(kernel.role);
    const bool is_product = work::flops(kernel.op).value > 0 && kernel.role != Role::quantize;
    const Seconds seconds = timing.seconds * (kernel.slowdown * slowdown_ * (is_product ? throttle_ : 1));
    result.by_role[role] += seconds;
    if (timing.origin != Origin::measured) result.transfer_error[role] += seconds.value * timing.log_sigma;
    result.origin[role] = std::max(result.origin[role], timing.origin);
    result.launches += 1;
  }
  return result;
}

BlockCost StepPricer::block_cost(const Block& block) const {
  BlockCost cost{.forward = tally(block.forward),
                 .recomputed = tally(block.recomputed),
                 .input_grad = tally(block.input_grad),
                 .weight_grad = tally(block.weight_grad)};
  const auto waiting = [&](double launches, Seconds busy) { return units::max(Seconds{}, host_ * launches - busy); };
  cost.host_forward = waiting(cost.forward.launches + block.small_launches_forward, cost.forward.total());
  cost.host_backward = waiting(
      cost.recomputed.launches + cost.input_grad.launches + cost.weight_grad.launches + block.small_launches_backward,
      cost.recomputed.total() + cost.input_grad.total() + cost.weight_grad.total());
  return cost;
}

void StepPricer::add_tensor_communication(BlockCost& cost, bool has_experts) const {
  if (l_.tensor_par <= 1) return;
  const Bytes bytes{micro_batch_tokens(l_) * job_.model.hidden * kActivationBytes};
  const Group group = tensor_group(l_, job_.cluster);
  // A pair of collectives around attention and one around the feed-forward; experts exchange tokens instead, unless
  // there are shared ones.
  double pairs = job_.stack.has_parallel_block || job_.model.is_parallel_block ? 1 : 2;
  if (has_experts && job_.model.shared_experts == 0) pairs = 1;
  Seconds pair;
  if (l_.sequence_par)
    pair = network_.collective(CollectiveKind::all_gather, bytes, group).seconds +
           network_.collective(CollectiveKind::reduce_scatter, bytes, group).seconds;
  else
    pair = network_.collective(CollectiveKind::all_reduce, bytes, group).seconds;
  const double exposed = job_.stack.overlaps_tensor_par ? constants_.tensor_exposed : 1;
  const double backward_pairs = pairs * (1 + fully_recomputed(l_));
  cost.tensor_forward = pair * pairs * exposed;
  cost.tensor_backward = pair * backward_pairs * exposed;
}

void StepPricer::add_context_communication(BlockCost& cost) const {
  if (l_.context_par <= 1) return;
  const auto& m = job_.model;
  const double kv_heads = m.attention == catalog::AttentionKind::mla ? m.heads : m.kv_heads;
  const Bytes bytes{l_.micro_batch * l_.seq_len * kv_heads / l_.tensor_par * (m.head_dim + m.v_head_dim) *
                    kActivationBytes};
  const Seconds gather =
      network_.collective(CollectiveKind::all_gather, bytes, context_group(l_, job_.cluster)).seconds;
  cost.context_forward = gather * constants_.tensor_exposed;
  cost.context_backward = 2 * gather * constants_.tensor_exposed;
}

void StepPricer::add_expert_communication(BlockCost& cost) const {
  if (l_.expert_par <= 1) return;
  const auto& m = job_.model;
  work::MoeExchange exchange{.tokens = expert_tokens(l_),
                             .hidden = m.hidden,
                             .topk = m.topk,
                             .num_experts = m.num_experts,
                             .gpus = l_.expert_par};
  const Group group = expert_group(l_, job_.cluster);
  const auto seconds = [&](bool is_combine, work::Dtype dtype) {
    exchange.is_combine = is_combine;
    return network_.exchange(exchange, dtype, group, job_.stack).seconds;
  };
  // Tokens travel in fp8 to the experts where the products are fp8 and the exchange library can; gradients in bf16.
  const auto dispatch = job_.stack.dedups_expert_par ? l_.dtype : work::Dtype::bf16;
  const auto bf16 = work::Dtype::bf16;
  cost.expert_forward = seconds(false, dispatch) + seconds(true, bf16);
  cost.expert_backward = seconds(false, bf16) + seconds(true, bf16);
  cost.expert_backward += cost.expert_forward * fully_recomputed(l_);
}

void StepPricer::add_parameter_gathering(BlockCost& cost, bool has_experts) const {
  if (l_.sharding != Sharding::zero3) return;
  const auto params = layer_parameters(job_, has_experts);
  const Bytes bytes{kActivationBytes * (params.dense + params.experts)};
  const Group group = data_group(l_, job_.cluster);
  const Seconds gather = network_.collective(CollectiveKind::all_gather, bytes, group).seconds;
  const Seconds scatter = network_.collective(CollectiveKind::reduce_scatter, bytes, group).seconds;
  const auto exposed = [&](Seconds communication, Seconds compute) {
    if (!job_.stack.overlaps_data_par) return communication;
    return units::max(communication - compute, Seconds{}) +
           units::min(communication, compute) * constants_.data_exposed;
  };
  cost.gather_forward = exposed(gather, cost.forward.total());
  cost.gather_backward =
      exposed(gather + scatter, cost.recomputed.total() + cost.input_grad.total() + cost.weight_grad.total());
}

BlockCost StepPricer::layer_cost(bool has_experts) const {
  BlockCost cost = block_cost(layer_block(job_, has_experts, constants_));
  add_tensor_communication(cost, has_experts);
  add_context_communication(cost);
  if (has_experts) add_expert_communication(cost);
  add_parameter_gathering(cost, has_experts);
  return cost;
}

ChunkTimes StepPricer::chunk_times(const std::vector<const BlockCost*>& blocks) const {
  ChunkTimes t;
  Seconds expert_forward, expert_backward;
  for (const auto* b : blocks) {
    t.forward += b->forward.total() + b->tensor_forward + b->context_forward + b->gather_forward + b->host_forward;
    t.input_grad += b->recomputed.total() + b->input_grad.total() + b->tensor_backward + b->context_backward +
                    b->gather_backward + b->host_backward;
    t.weight_grad += b->weight_grad.total();
    expert_forward += b->expert_forward;
    expert_backward += b->expert_backward;
  }
  // Together, one's exchange hides behind the other's compute, but for a rest.
  const Seconds compute = t.forward + t.input_grad + t.weight_grad;
  const Seconds exchange = expert_forward + expert_backward;
  t.forward_and_backward = units::max(compute, exchange) + units::min(compute, exchange) * constants_.expert_exposed;
  const bool is_hidden = job_.stack.overlaps_expert_par && l_.schedule != Schedule::dual_pipe;
  const double share = is_hidden ? (t.forward_and_backward - compute) / units::max(exchange, Seconds{1e-12}) : 1;
  t.forward += expert_forward * share;
  t.input_grad += expert_backward * share;
  return t;
}

// Gradients are summed once a step, behind the last micro-batch's backward where the software can.
Seconds StepPricer::gradient_seconds(Seconds last_backward) const {
  if (l_.sharding == Sharding::zero3) return {};
  const auto params = local_parameters(job_);
  const double gradient_bytes = l_.dtype == work::Dtype::fp16 ? 2 : 4;
  const auto sum = [&](double count, const Group& group) {
    const Bytes gradients{count * gradient_bytes};
    if (l_.sharding == Sharding::none) return network_.collective(CollectiveKind::all_reduce, gradients, group).seconds;
    return network_.collective(CollectiveKind::reduce_scatter, gradients, group).seconds +
           network_.collective(CollectiveKind::all_gather, Bytes{count * kActivationBytes}, group).seconds;
  };
  const Seconds whole =
      sum(params.dense, data_group(l_, job_.cluster)) + sum(params.experts, expert_data_group(l_, job_.cluster));
  if (!job_.stack.overlaps_data_par) return whole;
  return units::max(whole - last_backward, Seconds{}) + units::min(whole, last_backward) * constants_.data_exposed;
}

Seconds StepPricer::optimizer_seconds() const {
  const auto params = local_parameters(job_);
  const bool is_sharded = l_.sharding != Sharding::none;
  const double dense = params.dense / (is_sharded ? data_par(l_) * l_.context_par : 1);
  const double experts = params.experts / (is_sharded ? std::max(1.0, l_.gpus / (l_.pipeline_par * l_.expert_par)) : 1);
  return efficiency_.time(work::Stream{kAdamBytes * (dense + experts)}, work::Dtype::fp32).seconds;
}

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

LayerTimes StepPricer::layer(bool has_experts) const {
  const BlockCost cost = layer_cost(has_experts);
  Tally all = cost.forward;
  all.add(cost.recomputed);
  all.add(cost.input_grad);
  all.add(cost.weight_grad);
  return {.by_role = all.by_role,
          .exchange = cost.expert_forward + cost.expert_backward,
          .pair = chunk_times({&cost}).forward_and_backward};
}

// Kernels of one role err together, roles apart.
double transfer_log_sigma(const Tally& t, Seconds total) {
  double squares = 0;
  for (const double error : t.transfer_error) squares += error * error;
  return std::sqrt(squares) / total.value;
}

StepCost StepPricer::price() {
  const auto& m = job_.model;
  const double moe = catalog::moe_layers(m);
  const BlockCost dense = moe < m.layers ? layer_cost(false) : BlockCost{};
  const BlockCost experts = catalog::is_moe(m) ? layer_cost(true) : BlockCost{};
  const BlockCost embedding = block_cost(embedding_block(job_, constants_));
  const BlockCost head = block_cost(head_block(job_, constants_));

  const PipelineShape shape{
      .schedule = l_.schedule,
      .stages = static_cast<int>(l_.pipeline_par),
      .chunks = static_cast<int>(l_.interleave),
      .micro_batches = static_cast<int>(std::ceil(micro_batches(l_) - 1e-9)),
      .send = l_.pipeline_par > 1 && !job_.stack.overlaps_pipeline
                  ? network_
                        .send(Bytes{micro_batch_tokens(l_) * m.hidden * kActivationBytes / l_.tensor_par},
                              pipeline_crosses_nodes(l_, job_.cluster))
                        .seconds
                  : Seconds{}};
  const auto chunks = chunk_layers(m, l_);
  std::vector<std::vector<ChunkTimes>> times(shape.stages, std::vector<ChunkTimes>(shape.chunks));
  std::vector<std::vector<const BlockCost*>> stage_blocks(shape.stages);
  for (int c = 0; c < static_cast<int>(chunks.size()); ++c) {
    std::vector<const BlockCost*> blocks;
    if (chunks[c].has_embedding) blocks.push_back(&embedding);
    blocks.insert(blocks.end(), static_cast<std::size_t>(chunks[c].dense), &dense);
    blocks.insert(blocks.end(), static_cast<std::size_t>(chunks[c].experts), &experts);
    if (chunks[c].has_head) blocks.push_back(&head);
    times[c % shape.stages][c / shape.stages] = chunk_times(blocks);
    auto& all = stage_blocks[c % shape.stages];
    all.insert(all.end(), blocks.begin(), blocks.end());
  }
  const PipelineTimes pipeline = simulate(shape, times);

  BlockCost busy;
  const auto spend = [&](int position, double micro_batches) {
    for (const auto* b : stage_blocks[position]) {
      busy.forward.add(b->forward, micro_batches);
      busy.recomputed.add(b->recomputed, micro_batches);
      busy.input_grad.add(b->input_grad, micro_batches);
      busy.weight_grad.add(b->weight_grad, micro_batches);
      busy.tensor_forward += (b->tensor_forward + b->tensor_backward) * micro_batches;
      busy.context_forward += (b->context_forward + b->context_backward) * micro_batches;
      busy.gather_forward += (b->gather_forward + b->gather_backward) * micro_batches;
      busy.host_forward += (b->host_forward + b->host_backward) * micro_batches;
    }
  };
  // DualPipe: half of the micro-batches flow through the stage's mirror image.
  const bool is_mirrored = pipeline.forward_and_backward.value > 0;
  spend(pipeline.stage, shape.micro_batches * (is_mirrored ? 0.5 : 1));
  if (is_mirrored) spend(shape.stages - 1 - pipeline.stage, shape.micro_batches * 0.5);
  Tally compute = busy.forward;
  compute.add(busy.input_grad);
  compute.add(busy.weight_grad);

  StepCost result;
  const auto add = [&](std::string name, Category category, Seconds seconds, Origin origin) {
    // Less than a part in a million is rounding of the bill, not a part.
    if (std::abs(seconds.value) > 1e-6 * pipeline.makespan.value)
      result.parts.push_back({std::move(name), category, seconds, origin});
  };
  for (std::size_t i = 0; i < kRoles; ++i)
    add(std::string(to_string(static_cast<Role>(i))), Category::compute, compute.by_role[i], compute.origin[i]);
  const Origin worst = *std::max_element(compute.origin.begin(), compute.origin.end());
  add("recompute", Category::compute, busy.recomputed.total(), worst);
  add("tensor-parallel collectives (exposed)", Category::communication, busy.tensor_forward, Origin::measured);
  add("context-parallel gathering (exposed)", Category::communication, busy.context_forward, Origin::measured);
  add("parameter gathering (exposed)", Category::communication, busy.gather_forward, Origin::measured);
  const Seconds known = compute.total() + busy.recomputed.total() + busy.tensor_forward + busy.context_forward +
                        busy.gather_forward + busy.host_forward;
  add("expert all-to-all (exposed)", Category::communication, pipeline.makespan - pipeline.bubble - known,
      Origin::transferred);
  add("host launches", Category::overhead, busy.host_forward, Origin::measured);
  add("pipeline bubble", Category::bubble, pipeline.bubble, worst);

  Seconds last_backward;
  for (const auto& t : times[pipeline.stage]) last_backward += t.input_grad + t.weight_grad;
  const Seconds gradients = gradient_seconds(last_backward);
  add("gradient reduction (exposed)", Category::communication, gradients, Origin::transferred);
  const Seconds optimizer = optimizer_seconds();
  add("optimizer", Category::compute, optimizer, Origin::measured);
  const double nodes = std::max(1.0, l_.gpus / job_.cluster.gpus_per_node);
  const Seconds subtotal = pipeline.makespan + gradients + optimizer;
  const Seconds spread = subtotal * (constants_.spread_per_doubling * std::log2(nodes));
  add("stragglers and contention", Category::overhead, spread, Origin::measured);
  const Seconds total = subtotal + spread;

  Tally all = compute;
  all.add(busy.recomputed);
  result.log_sigma =
      std::hypot(constants_.step_log_sigma, transfer_log_sigma(all, total), kNetworkLogSigma * (gradients / total));
  result.seconds = log_normal(total.value, result.log_sigma);
  result.pipeline = {.forward = pipeline.forward,
                     .input_grad = pipeline.input_grad,
                     .weight_grad = pipeline.weight_grad,
                     .forward_and_backward = pipeline.forward_and_backward,
                     .bubble = pipeline.bubble,
                     .optimizer = optimizer + gradients};
  result.memory = memory(job_);
  result.model_flops = model_flops(job_);
  const auto peak = catalog::rate(job_.chip, l_.dtype);
  if (peak) result.mfu = result.model_flops / (total.value * l_.gpus * peak->flops_per_s.value);
  result.busy_fraction = (compute.total() + busy.recomputed.total()) / total;
  result.stage_pair_seconds = times[pipeline.stage][0].forward_and_backward.value;
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
  return StepPricer(job, efficiency, constants).price();
}

LayerTimes layer_times(const Job& job, bool has_experts, const calibrate::ChipEfficiency& efficiency,
                       const Constants& constants) {
  return StepPricer(job, efficiency, constants).layer(has_experts);
}

StepCost step(const Job& job, const calibrate::Efficiency& efficiency, const Constants& constants) {
  return step(job, efficiency.on(job.chip), constants);
}

}  // namespace traincost::cost
