#include <unordered_map>

#include "isa.hpp"
#include "load.hpp"

// Special registers (PTX ISA 10).
namespace ptx {
namespace {

using Value = std::uint64_t (*)(const Warp&, std::uint32_t lane);
struct Special {
  std::size_t bytes;
  Value value;
};

Dim thread_id(const Warp& warp, std::uint32_t lane) {
  const Dim& size = warp.block->launch->block;
  const std::uint32_t linear = warp.thread(lane);
  return {linear % size.x, linear / size.x % size.y, linear / size.x / size.y};
}
std::uint64_t bit(std::uint32_t lane) { return std::uint64_t{1} << lane; }

const std::unordered_map<std::string, Special>& specials() {
  static const std::unordered_map<std::string, Special> kSpecials{
      {"%tid.x", {4, [](const Warp& w, std::uint32_t l) { return std::uint64_t{thread_id(w, l).x}; }}},
      {"%tid.y", {4, [](const Warp& w, std::uint32_t l) { return std::uint64_t{thread_id(w, l).y}; }}},
      {"%tid.z", {4, [](const Warp& w, std::uint32_t l) { return std::uint64_t{thread_id(w, l).z}; }}},
      {"%ntid.x", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->block.x}; }}},
      {"%ntid.y", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->block.y}; }}},
      {"%ntid.z", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->block.z}; }}},
      {"%ctaid.x", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->id.x}; }}},
      {"%ctaid.y", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->id.y}; }}},
      {"%ctaid.z", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->id.z}; }}},
      {"%nctaid.x", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->grid.x}; }}},
      {"%nctaid.y", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->grid.y}; }}},
      {"%nctaid.z", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->grid.z}; }}},
      {"%clusterid.x", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->cluster->id.x}; }}},
      {"%clusterid.y", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->cluster->id.y}; }}},
      {"%clusterid.z", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->cluster->id.z}; }}},
      {"%nclusterid.x",
       {4,
        [](const Warp& w, std::uint32_t) {
          const Launch& launch = *w.block->launch;
          return std::uint64_t{launch.grid.x / launch.cluster.x};
        }}},
      {"%cluster_ctarank", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->rank}; }}},
      {"%cluster_ctaid.x",
       {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->rank % w.block->launch->cluster.x}; }}},
      {"%cluster_nctarank",
       {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->cluster->blocks.size()}; }}},
      {"%laneid", {4, [](const Warp&, std::uint32_t l) { return std::uint64_t{l}; }}},
      {"%warpid", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.index}; }}},
      {"%nwarpid", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->warps.size()}; }}},
      {"%lanemask_eq", {4, [](const Warp&, std::uint32_t l) { return bit(l); }}},
      {"%lanemask_lt", {4, [](const Warp&, std::uint32_t l) { return bit(l) - 1; }}},
      {"%lanemask_le", {4, [](const Warp&, std::uint32_t l) { return bit(l + 1) - 1; }}},
      {"%lanemask_gt", {4, [](const Warp&, std::uint32_t l) { return ~(bit(l + 1) - 1); }}},
      {"%lanemask_ge", {4, [](const Warp&, std::uint32_t l) { return ~(bit(l) - 1); }}},
      {"%dynamic_smem_size",
       {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->launch->dynamic_shared}; }}},
      {"%total_smem_size", {4, [](const Warp& w, std::uint32_t) { return std::uint64_t{w.block->shared.size()}; }}},
      // %envreg1 and 2 point to the grid barrier of a cooperative launch (native to the driver).
      {"%ptx_parameters",
       {8, [](const Warp& w,
              std::uint32_t) { return reinterpret_cast<std::uint64_t>(w.block->launch->parameters.data()); }}},
  };
  return kSpecials;
}

}  // namespace

std::size_t special_bytes(const std::string& name) {
  const auto found = specials().find(name);
  return found == specials().end() ? 0 : found->second.bytes;
}

void set_special(Warp& warp, const std::string& name, const Operand& operand) {
  const Special& special = specials().at(name);
  for (int lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t value = special.value(warp, static_cast<std::uint32_t>(lane));
    if (special.bytes == 4) lanes<std::uint32_t>(warp, operand)[lane] = static_cast<std::uint32_t>(value);
    if (special.bytes == 8) lanes<std::uint64_t>(warp, operand)[lane] = value;
  }
}

}  // namespace ptx
