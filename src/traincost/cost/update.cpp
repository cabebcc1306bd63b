#include <traincost/cost/update.hpp>

#include <algorithm>

#include <traincost/cost/network.hpp>

namespace traincost::cost {
namespace {

using units::Bytes;
using units::Seconds;
using work::CollectiveKind;

constexpr double kParameterBytes = 2;
// Each way between a GPU and its host: what copies reach of PCIe 4.0 x16's 32 GB/s. Not measured per chip.
constexpr units::BytesPerSecond kHostLink{25e9};
// Adam per parameter: gradient, master copy and two moments read (16), the latter three written (12), the 2-byte copy
// written (2); the gradient read for its norm and cleared (8).
constexpr double kAdamBytes = 38;

Seconds gradient_seconds(const Pricing& pricing, const LocalParameters& params) {
  const Layout& l = pricing.job.layout;
  if (l.sharding == Sharding::zero3) return {};
  const Network network(pricing.job.cluster, pricing.job.chip, pricing.efficiency, pricing.constants);
  const double gradient_bytes = l.dtype == work::Dtype::fp16 ? 2 : 4;
  const auto sum = [&](double count, const Group& group) {
    const Bytes gradients{count * gradient_bytes};
    if (l.sharding == Sharding::none) return network.collective(CollectiveKind::all_reduce, gradients, group).seconds;
    return network.collective(CollectiveKind::reduce_scatter, gradients, group).seconds +
           network.collective(CollectiveKind::all_gather, Bytes{count * kParameterBytes}, group).seconds;
  };
  return sum(params.dense, data_group(l, pricing.job.cluster)) +
         sum(params.experts, expert_data_group(l, pricing.job.cluster));
}

Seconds optimizer_seconds(const Pricing& pricing, const LocalParameters& params) {
  const Layout& l = pricing.job.layout;
  const bool is_sharded = l.sharding != Sharding::none;
  const double dense = params.dense / (is_sharded ? data_par(l) * l.context_par : 1);
  const double experts = params.experts / (is_sharded ? std::max(1.0, l.gpus / (l.pipeline_par * l.expert_par)) : 1);
  return pricing.efficiency.time(work::Stream{kAdamBytes * (dense + experts)}, work::Dtype::fp32).seconds;
}

}  // namespace

UpdateCost update_cost(const Pricing& pricing, const LocalParameters& parameters) {
  return {.gradients = gradient_seconds(pricing, parameters), .optimizer = optimizer_seconds(pricing, parameters)};
}

Seconds offload_seconds(const HostTraffic& traffic, Seconds pipeline) {
  const Seconds beside = Bytes{traffic.beside_pipeline} / kHostLink, update = Bytes{traffic.update} / kHostLink;
  return units::max(beside - pipeline, Seconds{}) + update;
}

Seconds exposed_gradients(const Pricing& pricing, Seconds whole, Seconds last_backward) {
  if (!pricing.job.stack.overlaps_data_par) return whole;
  return units::max(whole - last_backward, Seconds{}) +
         units::min(whole, last_backward) * pricing.constants.data_exposed;
}

}  // namespace traincost::cost
