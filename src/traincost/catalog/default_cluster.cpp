#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <traincost/catalog/cluster.hpp>

namespace traincost::catalog {
namespace {

using units::BytesPerSecond;

constexpr double kGpusPerNode = 8;  // what nearly every training server holds
// A bridge between two cards is no domain that tensor or expert parallelism could live in: their node's PCIe is.
constexpr double kSmallestDomain = 4;
constexpr double kHostShareOfTdp = 0.8;  // servers draw about 1.8 times their GPUs (Epoch AI, training-cost study)
// End to end for 64 bytes on H800, over NVLink and over two levels of InfiniBand switches (arXiv 2505.09343, Table 5).
constexpr units::Seconds kLinkLatency{3.33e-6};
constexpr units::Seconds kNetworkLatency{3.7e-6};

/// The adapter that came with each generation of PCIe, one a GPU.
struct Generation {
  BytesPerSecond host;
  BytesPerSecond network;
  const char* name;
};
constexpr std::array<Generation, 4> kGenerations{{{{16e9}, {12.5e9}, "100Gb/s a GPU"},
                                                  {{32e9}, {25e9}, "200Gb/s a GPU"},
                                                  {{64e9}, {50e9}, "400Gb/s a GPU"},
                                                  {{128e9}, {100e9}, "800Gb/s a GPU"}}};
constexpr const Generation& kUnknownGeneration = kGenerations[1];

const Generation& generation(const Chip& chip) {
  if (!chip.host_bytes_per_s) return kUnknownGeneration;
  const auto slower = std::find_if(kGenerations.rbegin(), kGenerations.rend(),
                                   [&](const Generation& g) { return g.host <= *chip.host_bytes_per_s; });
  return slower == kGenerations.rend() ? kGenerations.front() : *slower;
}

Cluster built_from(const Chip& chip) {
  const Generation& network = generation(chip);
  const bool has_domain = chip.link_bytes_per_s && chip.scale_up_gpus.value_or(kGpusPerNode) >= kSmallestDomain;
  Cluster cluster;
  cluster.id = fmt::format("default-{}", chip.id);
  cluster.chip = chip.id;
  cluster.scale_up_gpus = has_domain ? chip.scale_up_gpus.value_or(kGpusPerNode) : kGpusPerNode;
  cluster.gpus_per_node = std::min(kGpusPerNode, cluster.scale_up_gpus);
  cluster.name = fmt::format("{}, servers of {}", chip.name, cluster.gpus_per_node);
  cluster.link_bytes_per_s = has_domain ? *chip.link_bytes_per_s : chip.host_bytes_per_s.value_or(network.host);
  cluster.link_latency = kLinkLatency;
  cluster.network_bytes_per_s = network.network;
  cluster.network_latency = kNetworkLatency;
  cluster.host_watts = kHostShareOfTdp * chip.tdp_watts.value_or(units::Watts{});
  cluster.network_name = network.name;
  cluster.source = fmt::format("derived from the figures of the chip: {}", chip.source);
  cluster.confirmed = "derived";
  return cluster;
}

}  // namespace

Cluster default_cluster(const Chip& chip) {
  const auto& all = clusters();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Cluster& c) { return c.chip == chip.id; });
  return found == all.end() ? built_from(chip) : *found;
}

}  // namespace traincost::catalog
