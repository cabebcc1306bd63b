#pragma once

#include <optional>
#include <string_view>

#include <traincost/units/quantity.hpp>

namespace traincost::cost {

/// Network bandwidth per GPU and direction from a description of a node's fabric, such as "8x200Gb/s per node",
/// "1600 Gb/s RoCE per node", "8x50 GB/s IB per node" or "400 Gb/s RDMA per GPU". Gb/s are bits. A bandwidth that the
/// text gives to NVLink is not the network's. nullopt: none stated.
std::optional<units::BytesPerSecond> parse_interconnect(std::string_view text, double gpus_per_node);

}  // namespace traincost::cost
