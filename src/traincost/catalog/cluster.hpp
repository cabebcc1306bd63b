#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/catalog/chip.hpp>

namespace traincost::catalog {

/// How GPUs are joined. One TOML file each under catalog/clusters ("hgx-h800"). Bandwidths per GPU, one direction,
/// as the vendor states them; what a collective achieves of them is calibrated.
struct Cluster {
  std::string id, name;
  std::string chip;                        // id of the chip it was described with
  double gpus_per_node = 8;                // share a host
  double scale_up_gpus = 8;                // share the fast link (72 in an NVL72 rack)
  units::BytesPerSecond link_bytes_per_s;  // scale-up
  units::Seconds link_latency;
  units::BytesPerSecond network_bytes_per_s;  // scale-out, per GPU
  units::Seconds network_latency;
  units::Watts host_watts;   // of the server beside its GPUs, per GPU (CPUs, NICs, fans, switches)
  std::string network_name;  // "8x400Gb/s InfiniBand NDR"
  std::string source, confirmed, notes;
};

const std::vector<Cluster>& clusters();
Cluster parse_cluster(std::string_view toml, const std::string& origin);
/// A user's own clusters (--cluster-file) before the embedded ones.
std::vector<Cluster> clusters_with(const std::vector<std::filesystem::path>& files);
const Cluster* find_cluster(const std::vector<Cluster>& clusters, std::string_view id);

/// The cluster in which `chip` is usually sold (the entry that names it as `chip`; else node size, link and domain from
/// the chip and a network of the chip's generation; cards without a scale-up link share their node's PCIe).
Cluster default_cluster(const Chip& chip);

}  // namespace traincost::catalog
