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

class BlockPricer {
 public:
  explicit BlockPricer(const Pricing& p)
      : job_(p.job),
        l_(p.job.layout),
        efficiency_(p.efficiency),
        constants_(p.constants),
        network_(p.job.cluster, p.job.chip, p.efficiency, p.constants),
        host_{constants_.host_seconds * (1 + constants_.host_yearly_gain * (kTablesYear - job_.stack.year))},
        throttle_(1 + constants_.throttle * power_shortage(job_.chip)),
        slowdown_(constants_.compute_slowdown * (1 + constants_.yearly_gain * (kTablesYear - job_.stack.year))) {}

  [[nodiscard]] BlockCost block(const Block& block) const;
  [[nodiscard]] BlockCost layer(bool has_experts) const;

 private:
  [[nodiscard]] Tally tally(const std::vector<Kernel>& kernels) const;
  void add_tensor_communication(BlockCost& cost, bool has_experts) const;
  void add_context_communication(BlockCost& cost) const;
  void add_expert_communication(BlockCost& cost) const;
  void add_parameter_gathering(BlockCost& cost, bool has_experts) const;

  const Job& job_;
  const Layout& l_;
  const calibrate::ChipEfficiency& efficiency_;
  const Constants& constants_;
  Network network_;
  Seconds host_;     // per launch
  double throttle_;  // of products, under the power limit
  double slowdown_;  // of every kernel in this step against the same kernel alone in the tables
};

Tally BlockPricer::tally(const std::vector<Kernel>& kernels) const {
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

BlockCost BlockPricer::block(const Block& block) const {
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

void BlockPricer::add_tensor_communication(BlockCost& cost, bool has_experts) const {
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

void BlockPricer::add_context_communication(BlockCost& cost) const {
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

void BlockPricer::add_expert_communication(BlockCost& cost) const {
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

void BlockPricer::add_parameter_gathering(BlockCost& cost, bool has_experts) const {
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

BlockCost BlockPricer::layer(bool has_experts) const {
  BlockCost cost = block(layer_block(job_, has_experts, constants_));
  add_tensor_communication(cost, has_experts);
  add_context_communication(cost);
  if (has_experts) add_expert_communication(cost);
  add_parameter_gathering(cost, has_experts);
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

BlockCost layer_cost(const Pricing& pricing, bool has_experts) { return BlockPricer(pricing).layer(has_experts); }

Blocks block_costs(const Pricing& pricing) {
  const BlockPricer price(pricing);
  const auto& m = pricing.job.model;
  return {.embedding = price.block(embedding_block(pricing.job, pricing.constants)),
          .dense = catalog::moe_layers(m) < m.layers ? price.layer(false) : BlockCost{},
          .experts = catalog::is_moe(m) ? price.layer(true) : BlockCost{},
          .head = price.block(head_block(pricing.job, pricing.constants))};
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
