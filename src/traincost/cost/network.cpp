#include <traincost/cost/network.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::cost {
namespace {

using calibrate::Timing;
using units::Bytes;
using units::Seconds;

// `size` ranks, `stride` apart.
Group strided(double size, double stride, const catalog::Cluster& cluster) {
  return {.gpus = size, .local = std::clamp(std::floor(cluster.scale_up_gpus / stride), 1.0, size)};
}

// HybridEP from 32 SMs / DeepEP from 20, dispatch and combine of bf16 on 8 GB200: GB/s reported and predicted from the
// tables, rows k1439 and k1440 of `traincost validate --kernels`. Hopper's link is full with 20.
constexpr double kHybridEpOnBlackwell = (1 / 615.78 + 1 / 519.57) / (1 / 375.0 + 1 / 446.0);

// Ranks of other stages between neighbours of one stage.
double stages_between(const Layout& l) {
  return l.placement == Placement::pipeline_first || l.placement == Placement::packed ? l.pipeline_par : 1;
}

}  // namespace

Group tensor_group(const Layout& l, const catalog::Cluster& c) {
  if (l.placement == Placement::network) return {.gpus = l.tensor_par, .local = 1};
  return strided(l.tensor_par, l.placement == Placement::pipeline_first ? l.pipeline_par : 1, c);
}
Group context_group(const Layout& l, const catalog::Cluster& c) {
  return strided(l.context_par, l.tensor_par * stages_between(l), c);
}
Group data_group(const Layout& l, const catalog::Cluster& c) {
  return strided(data_par(l) * l.context_par, l.tensor_par * stages_between(l), c);
}
Group expert_group(const Layout& l, const catalog::Cluster& c) {
  const bool fits_tensor_group = l.placement == Placement::packed && l.expert_par <= l.tensor_par;
  return strided(l.expert_par, fits_tensor_group ? 1 : stages_between(l), c);
}
Group expert_data_group(const Layout& l, const catalog::Cluster& c) {
  return strided(std::max(1.0, l.gpus / (l.pipeline_par * l.expert_par)), l.expert_par * stages_between(l), c);
}
bool pipeline_crosses_nodes(const Layout& l, const catalog::Cluster& c) {
  switch (l.placement) {
    case Placement::pipeline_first:
      return l.pipeline_par > c.scale_up_gpus;
    case Placement::packed:
      return l.pipeline_par * l.tensor_par > c.scale_up_gpus;
    case Placement::network:
      return true;
    case Placement::tensor_first:
      break;
  }
  return l.gpus / l.pipeline_par >= c.scale_up_gpus;
}

Network::Network(const catalog::Cluster& cluster, const catalog::Chip& chip,
                 const calibrate::ChipEfficiency& efficiency, const Constants& constants)
    : cluster_(cluster), chip_(chip), efficiency_(efficiency), constants_(constants) {}

Seconds Network::network_seconds(Bytes per_gpu, double hops) const {
  return per_gpu / (cluster_.network_bytes_per_s * constants_.network_efficiency) + cluster_.network_latency * hops;
}

// The tables know the link of the chip's data sheet, not of this cluster.
double Network::link_scale() const {
  return chip_.link_bytes_per_s ? *chip_.link_bytes_per_s / cluster_.link_bytes_per_s : 1;
}

Timing Network::collective(work::CollectiveKind kind, Bytes bytes, const Group& group) const {
  if (group.gpus <= 1 || bytes.value <= 0) return {};
  Timing timing;
  if (group.local > 1) {
    timing =
        efficiency_.time(work::Collective{.kind = kind, .bytes = bytes.value, .gpus = group.local}, work::Dtype::bf16);
    timing.seconds *= link_scale();
  }
  const double nodes = group.gpus / group.local;
  if (nodes <= 1) return timing;
  // The network leg of a ring over the nodes: the buffer is split over the GPUs of a node, each with its own adapter.
  const double passes = kind == work::CollectiveKind::all_reduce ? 2 : 1;
  const Bytes per_gpu = bytes * (passes * (nodes - 1) / nodes / group.local);
  const Seconds network = network_seconds(per_gpu, passes * std::log2(nodes));
  if (group.local <= 1) timing.origin = calibrate::Origin::datasheet;
  timing.seconds = units::max(timing.seconds, network);  // both legs are pipelined
  return timing;
}

Timing Network::exchange(const work::MoeExchange& x, work::Dtype dtype, const Group& group, const Stack& stack) const {
  if (group.gpus <= 1) return {};
  const double nodes = group.gpus / group.local;
  const Bytes token{x.hidden * work::bytes_per_element(dtype)};
  if (stack.exchange == Stack::Exchange::all_to_all) return all_to_all(token * (x.tokens * x.topk), group);
  // Nodes that a token must reach: balanced choice of topk experts, each equally likely on every node.
  double copies = nodes * (1 - std::pow(1 - 1 / nodes, x.topk));
  if (stack.expert_nodes_limit > 0) copies = std::min(copies, stack.expert_nodes_limit);
  work::MoeExchange local = x;
  local.gpus = group.local;
  Timing timing;
  if (group.local > 1) {
    timing = efficiency_.time(local, dtype);
    timing.seconds *= link_scale();
    if (stack.exchange == Stack::Exchange::hybridep && catalog::is_blackwell(chip_))
      timing.seconds *= kHybridEpOnBlackwell;
  }
  if (nodes > 1)
    timing.seconds = units::max(timing.seconds, network_seconds(token * (x.tokens * copies * (nodes - 1) / nodes), 1));
  return timing;
}

Timing Network::all_to_all(Bytes sent, const Group& group) const {
  const double nodes = group.gpus / group.local;
  Timing timing;
  if (group.local > 1) {
    timing = efficiency_.time(
        work::Collective{.kind = work::CollectiveKind::all_to_all, .bytes = sent.value / nodes, .gpus = group.local},
        work::Dtype::bf16);
    timing.seconds *= link_scale();
  }
  if (nodes > 1) timing.seconds = units::max(timing.seconds, network_seconds(sent * ((nodes - 1) / nodes), 1));
  return timing;
}

Timing Network::low_latency_exchange(const work::MoeExchange& x, work::Dtype dtype, const Group& group,
                                     bool uses_link) const {
  if (group.gpus <= 1) return {};
  // DeepEP's README, H800: 46 of 50 GB/s over the network, and what its latencies leave beside their bytes; of the
  // link's 200 GB/s 160 (arXiv 2505.09343, section 4.3).
  constexpr double kWire = 0.92, kLink = 0.8;
  constexpr Seconds kHandshake{25e-6};
  const Bytes bytes{x.tokens * x.topk * x.hidden * work::bytes_per_element(dtype)};
  const double near = uses_link ? group.local / group.gpus : 0;
  const Seconds link = bytes * near / (cluster_.link_bytes_per_s * kLink);
  const Seconds network = bytes * (1 - near) / (cluster_.network_bytes_per_s * kWire);
  return {.seconds = units::max(link, network) + kHandshake, .origin = calibrate::Origin::datasheet};
}

Timing Network::send(Bytes bytes, bool crosses_nodes) const {
  if (!crosses_nodes)
    return efficiency_.time(work::Collective{.kind = work::CollectiveKind::send_recv, .bytes = bytes.value, .gpus = 2},
                            work::Dtype::bf16);
  return {.seconds = network_seconds(bytes, 1), .origin = calibrate::Origin::datasheet};
}

}  // namespace traincost::cost
