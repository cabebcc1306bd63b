#include <traincost/cost/block_cost.hpp>

#include <algorithm>

#include <traincost/cost/memory.hpp>
#include <traincost/cost/network.hpp>

namespace traincost::cost {
namespace {

using calibrate::Origin;
using units::Bytes;
using units::Seconds;
using work::CollectiveKind;

constexpr double kActivationBytes = 2;
constexpr double kTablesYear = 2026;  // when the kernels of the measured tables were built

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

// Share of the tensor-parallel collectives that is left. A ring's first step has nothing to hide behind.
double tensor_exposed(const Job& job, const Constants& constants) {
  switch (job.layout.tensor_overlap) {
    case TensorOverlap::none:
      return 1;
    case TensorOverlap::pipe:
      return constants.tensor_exposed;
    case TensorOverlap::ring:
      return std::max(constants.tensor_exposed, 1 / job.layout.tensor_par);
    case TensorOverlap::by_stack:
      break;
  }
  return job.stack.overlaps_tensor_par ? constants.tensor_exposed : 1;
}

// Share of the gradients' collectives that is left against the forward's. The reduce-scatter of the input gradient, or
// the whole all-reduce, runs beside the weight gradient's product; the gather of the output gradient cannot.
double tensor_grad_exposed(const Job& job, const Constants& constants) {
  if (job.layout.tensor_overlap != TensorOverlap::by_stack || job.stack.overlaps_tensor_par ||
      !job.stack.hides_tensor_grad)
    return 1;
  return job.layout.sequence_par ? (1 + constants.tensor_exposed) / 2 : constants.tensor_exposed;
}

// Prices what is the same whatever is recomputed and however parameters are sharded.
class PartsPricer {
 public:
  explicit PartsPricer(const Pricing& p)
      : job_(p.job),
        efficiency_(p.efficiency),
        constants_(p.constants),
        network_(p.job.cluster, p.job.chip, p.efficiency, p.constants),
        shortage_(power_shortage(job_.chip)),
        slowdown_(constants_.compute_slowdown * (1 + constants_.yearly_gain * (kTablesYear - job_.stack.year))) {
    job_.layout.recompute = Recompute::selective;  // lists what can run again
    job_.layout.recompute_share = 1;
    job_.layout.sharding = Sharding::zero3;  // leaves the summing apart
  }

  [[nodiscard]] BlockParts layer(bool has_experts) const;
  [[nodiscard]] BlockParts embedding() const { return parts(embedding_block(job_, constants_)); }
  [[nodiscard]] BlockParts head() const;
  [[nodiscard]] PricedKernel price(const Kernel& kernel) const;

 private:
  [[nodiscard]] double throttle(const Kernel& kernel) const;
  [[nodiscard]] Tally tally(const std::vector<Kernel>& kernels) const;
  [[nodiscard]] BlockParts parts(const Block& block) const;
  [[nodiscard]] Seconds tensor_collectives(bool has_experts) const;
  [[nodiscard]] Seconds context_gather() const;
  void add_expert_exchange(BlockParts& parts) const;

  Job job_;
  const Layout& l_ = job_.layout;
  const calibrate::ChipEfficiency& efficiency_;
  const Constants& constants_;
  Network network_;
  double shortage_;  // of power, for products
  double slowdown_;  // of every kernel in this step against the same kernel alone in the tables
};

// Attention and casts leave the matrix units idle half of their time.
double PartsPricer::throttle(const Kernel& kernel) const {
  if (work::flops(kernel.op).value <= 0 || kernel.role == Role::quantize || kernel.role == Role::attention) return 1;
  const bool is_short = work::bytes_per_element(kernel.dtype) < 2;
  return 1 + shortage_ * (is_short ? constants_.throttle_fp8 : constants_.throttle);
}

PricedKernel PartsPricer::price(const Kernel& kernel) const {
  const auto timing = efficiency_.time(kernel.op, kernel.dtype);
  return {.seconds = timing.seconds * (kernel.count * kernel.slowdown * slowdown_ * throttle(kernel)),
          .timing = timing};
}

Tally PartsPricer::tally(const std::vector<Kernel>& kernels) const {
  Tally result;
  for (const auto& kernel : kernels) {
    const auto [seconds, timing] = price(kernel);
    const auto role = static_cast<std::size_t>(kernel.role);
    result.by_role[role] += seconds;
    if (timing.origin != Origin::measured) result.transfer_error[role] += seconds.value * timing.log_sigma;
    result.origin[role] = std::max(result.origin[role], timing.origin);
    result.launches += kernel.launches;
    if (kernel.is_routed) result.routed_launches += kernel.launches;
  }
  return result;
}

BlockParts PartsPricer::parts(const Block& block) const {
  return {.forward = tally(block.forward),
          .replayed = tally(block.recomputed),
          .input_grad = tally(block.input_grad),
          .weight_grad = tally(block.weight_grad),
          .tail = tally(block.tail),
          .summing = tally(block.summing)};
}

Seconds PartsPricer::tensor_collectives(bool has_experts) const {
  if (l_.tensor_par <= 1) return {};
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
  return pair * pairs * tensor_exposed(job_, constants_);
}

Seconds PartsPricer::context_gather() const {
  if (l_.context_par <= 1) return {};
  const auto& m = job_.model;
  const double kv_heads = m.attention == catalog::AttentionKind::mla ? m.heads : m.kv_heads;
  const Bytes bytes{l_.micro_batch * l_.seq_len * kv_heads / l_.tensor_par * (m.head_dim + m.v_head_dim) *
                    kActivationBytes};
  return network_.collective(CollectiveKind::all_gather, bytes, context_group(l_, job_.cluster)).seconds *
         constants_.tensor_exposed;
}

void PartsPricer::add_expert_exchange(BlockParts& parts) const {
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
  const auto dispatch = job_.stack.dispatches_fp8 ? l_.dtype : work::Dtype::bf16;  // gradients in bf16
  const auto bf16 = work::Dtype::bf16;
  parts.expert_forward = seconds(false, dispatch) + seconds(true, bf16);
  parts.expert_backward = seconds(false, bf16) + seconds(true, bf16);
}

BlockParts PartsPricer::layer(bool has_experts) const {
  BlockParts result = parts(layer_block(job_, has_experts, constants_));
  result.tensor = tensor_collectives(has_experts);
  result.tensor_grad = result.tensor * tensor_grad_exposed(job_, constants_);
  result.context_gather = context_gather();
  if (has_experts) add_expert_exchange(result);
  result.parameters = layer_parameters(job_, has_experts);
  return result;
}

BlockParts PartsPricer::head() const {
  BlockParts result = parts(head_block(job_, constants_));
  result.can_replay = false;
  return result;
}

void add_parameter_gathering(const Pricing& pricing, const BlockParts& parts, BlockCost& cost) {
  const auto& job = pricing.job;
  if (job.layout.sharding != Sharding::zero3) return;
  const Bytes bytes{kActivationBytes * (parts.parameters.dense + parts.parameters.experts)};
  const Group group = data_group(job.layout, job.cluster);
  const Network network(job.cluster, job.chip, pricing.efficiency, pricing.constants);
  const Seconds gather = network.collective(CollectiveKind::all_gather, bytes, group).seconds;
  const Seconds scatter = network.collective(CollectiveKind::reduce_scatter, bytes, group).seconds;
  const auto exposed = [&](Seconds communication, Seconds compute) {
    if (!job.stack.overlaps_data_par) return communication;
    return units::max(communication - compute, Seconds{}) +
           units::min(communication, compute) * pricing.constants.data_exposed;
  };
  cost.gather_forward = exposed(gather, cost.forward.total());
  const Seconds backward = cost.recomputed.total() + cost.input_grad.total() + cost.weight_grad.total();
  cost.gather_backward =
      job.stack.prefetches_backward ? exposed(gather + scatter, backward) : gather + exposed(scatter, backward);
}

bool captures_graphs(const Job& job) {
  return job.stack.graphs == Stack::Graphs::blackwell && catalog::is_blackwell(job.chip);
}

void add_host(const Pricing& pricing, BlockCost& cost) {
  const auto& c = pricing.constants;
  const auto& job = pricing.job;
  const Seconds per_launch{c.host_seconds * (1 + c.host_yearly_gain * (kTablesYear - job.stack.year))};
  const auto waiting = [&](const auto&... passes) {
    Tally all;
    (all.add(passes), ...);
    double launches = all.launches;
    if (captures_graphs(job)) launches = job.layout.routing == Routing::token_drop ? 0 : all.routed_launches;
    const Seconds host = per_launch * launches;
    return job.stack.blocks_launches ? host : units::max(Seconds{}, host - all.total());
  };
  cost.host_forward = waiting(cost.forward);
  cost.host_backward = waiting(cost.recomputed, cost.input_grad, cost.weight_grad);
}

BlockCost block_cost(const Pricing& pricing, const BlockParts& parts) {
  const Layout& l = pricing.job.layout;
  const double full = fully_recomputed(l);
  BlockCost cost{.forward = parts.forward,
                 .input_grad = parts.input_grad,
                 .weight_grad = parts.weight_grad,
                 .tensor_forward = parts.tensor,
                 .tensor_backward = parts.tensor_grad + parts.tensor * full,
                 .context_forward = parts.context_gather,
                 .context_backward = parts.context_gather * 2,
                 .expert_forward = parts.expert_forward,
                 .expert_backward = parts.expert_backward + parts.expert_forward * full};
  if (l.sharding != Sharding::zero3) cost.weight_grad.add(parts.summing, 1);
  if (parts.can_replay && l.recompute == Recompute::full) {
    cost.recomputed.add(parts.forward, l.recompute_share);
    cost.recomputed.add(parts.tail, -l.recompute_share);
  }
  if (parts.can_replay && l.recompute == Recompute::selective) cost.recomputed.add(parts.replayed, l.recompute_share);
  add_host(pricing, cost);
  add_parameter_gathering(pricing, parts, cost);
  return cost;
}

}  // namespace

Seconds Tally::total() const {
  Seconds sum;
  for (const auto s : by_role) sum += s;
  return sum;
}

void Tally::add(const Tally& other, double times) {
  for (std::size_t i = 0; i < kRoles; ++i) {
    by_role[i] += other.by_role[i] * times;
    transfer_error[i] += other.transfer_error[i] * times;
    origin[i] = std::max(origin[i], other.origin[i]);
  }
  launches += other.launches * times;
  routed_launches += other.routed_launches * times;
}

void BlockCost::add(const BlockCost& other, double times) {
  for (const auto tally :
       {&BlockCost::forward, &BlockCost::recomputed, &BlockCost::input_grad, &BlockCost::weight_grad})
    (this->*tally).add(other.*tally, times);
  for (const auto seconds :
       {&BlockCost::tensor_forward, &BlockCost::tensor_backward, &BlockCost::context_forward,
        &BlockCost::context_backward, &BlockCost::expert_forward, &BlockCost::expert_backward,
        &BlockCost::gather_forward, &BlockCost::gather_backward, &BlockCost::host_forward, &BlockCost::host_backward})
    this->*seconds += other.*seconds * times;
}

std::vector<PricedKernel> price_kernels(const Pricing& pricing, const std::vector<Kernel>& kernels) {
  const PartsPricer pricer(pricing);
  std::vector<PricedKernel> priced;
  priced.reserve(kernels.size());
  for (const auto& kernel : kernels) priced.push_back(pricer.price(kernel));
  return priced;
}

BlockCost layer_cost(const Pricing& pricing, bool has_experts) {
  return block_cost(pricing, PartsPricer(pricing).layer(has_experts));
}

BlocksOf<BlockParts> block_parts(const Pricing& pricing) {
  const PartsPricer price(pricing);
  const auto& m = pricing.job.model;
  return {.embedding = price.embedding(),
          .dense = catalog::moe_layers(m) < m.layers ? price.layer(false) : BlockParts{},
          .experts = catalog::is_moe(m) ? price.layer(true) : BlockParts{},
          .head = price.head()};
}

Blocks block_costs(const Pricing& pricing, const BlocksOf<BlockParts>& parts) {
  return {.embedding = block_cost(pricing, parts.embedding),
          .dense = block_cost(pricing, parts.dense),
          .experts = block_cost(pricing, parts.experts),
          .head = block_cost(pricing, parts.head)};
}

BlockTimes block_times(const BlockCost& b) {
  const Seconds forward = b.forward.total(), recomputed = b.recomputed.total(), input_grad = b.input_grad.total(),
                weight_grad = b.weight_grad.total();
  return {.forward = forward + b.tensor_forward + b.context_forward + b.gather_forward + b.host_forward,
          .input_grad =
              recomputed + input_grad + b.tensor_backward + b.context_backward + b.gather_backward + b.host_backward,
          .weight_grad = weight_grad,
          .expert_forward = b.expert_forward,
          .expert_backward = b.expert_backward,
          .kernels = forward + recomputed + input_grad + weight_grad};
}

}  // namespace traincost::cost
