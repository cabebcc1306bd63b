#pragma once

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/cost/constants.hpp>
#include <traincost/cost/layout.hpp>
#include <traincost/cost/stack.hpp>

namespace traincost::cost {

/// A communication group: `gpus` ranks of which `local` share a scale-up domain; the rest is reached by the network.
struct Group {
  double gpus = 1;
  double local = 1;
};

/// Where the layout's placement puts the ranks of each kind of parallelism.
Group tensor_group(const Layout& layout, const catalog::Cluster& cluster);
Group context_group(const Layout& layout, const catalog::Cluster& cluster);
Group data_group(const Layout& layout,
                 const catalog::Cluster& cluster);  // data x context: gradients are summed over both
Group expert_group(const Layout& layout, const catalog::Cluster& cluster);
/// The GPUs that hold the same experts.
Group expert_data_group(const Layout& layout, const catalog::Cluster& cluster);
bool pipeline_crosses_nodes(const Layout& layout, const catalog::Cluster& cluster);

/// Prices communication on one cluster: the scale-up leg from measured NCCL and DeepEP tables, scaled to the cluster's
/// link; the network leg from its stated bandwidth and `Constants::network_efficiency`.
class Network {
 public:
  Network(const catalog::Cluster& cluster, const catalog::Chip& chip, const calibrate::ChipEfficiency& efficiency,
          const Constants& constants);

  calibrate::Timing collective(work::CollectiveKind kind, units::Bytes bytes, const Group& group) const;

  /// Sends `tokens` rows per GPU to the experts (or brings them back): both legs, each token once per node when the
  /// software deduplicates, at most `nodes_limit` nodes (DeepSeek-V3, arXiv 2412.19437, 3.2.2).
  calibrate::Timing exchange(const work::MoeExchange& exchange, work::Dtype dtype, const Group& group,
                             const Stack& stack) const;

  /// The kernels of decoding (DeepEP's low-latency mode): each selection of a token crosses by itself, without waiting
  /// to be put together; over the link where `uses_link` and the expert is near, else over the network.
  calibrate::Timing low_latency_exchange(const work::MoeExchange& exchange, work::Dtype dtype, const Group& group,
                                         bool uses_link = true) const;

  calibrate::Timing send(units::Bytes bytes, bool crosses_nodes) const;

 private:
  units::Seconds network_seconds(units::Bytes per_gpu, double hops) const;
  double link_scale() const;
  calibrate::Timing all_to_all(units::Bytes sent, const Group& group) const;

  const catalog::Cluster& cluster_;
  const catalog::Chip& chip_;
  const calibrate::ChipEfficiency& efficiency_;
  const Constants& constants_;
};

}  // namespace traincost::cost
