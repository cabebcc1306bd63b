#include <fmt/format.h>

#include <utility>

#include "async.hpp"
#include "dependency.hpp"

// Clusters (PTX ISA 9.7.13.4, 9.7.9.24): mapa, barrier.cluster; and setmaxnreg.
namespace ptx {
namespace {

using u32 = std::uint32_t;

// mapa d, a, rank: the same place in another block of the cluster.
template <class T, std::uint64_t kWindow>
void mapa(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const T address = lanes<T>(warp, op.arg[1])[lane] - static_cast<T>(kWindow);
    const u32 rank = low<u32>(warp, op.arg[2], lane);
    if (rank >= warp.block->cluster->blocks.size()) {
      fault(warp, op, lane, fmt::format("rank {} in a cluster of {} blocks", rank, warp.block->cluster->blocks.size()));
    }
    lanes<T>(warp, op.arg[0])[lane] =
        ((address & kOffsetMask) | static_cast<T>(rank + 1) << kRankBits) + static_cast<T>(kWindow);
  });
}

u32 living_threads(const Cluster& cluster) {
  int count = 0;
  for (const auto& block : cluster.blocks) {
    for (const auto& warp : block->warps) count += std::popcount(warp->exists & ~warp->exited);
  }
  return static_cast<u32>(count);
}

void cluster_arrive(Warp& warp, const Op& op, Mask mask) {
  Cluster& cluster = *warp.block->cluster;
  ClusterBarrier& barrier = cluster.barrier;
  each(mask, [&](int lane) {
    std::uint64_t& phase = warp.cluster_phase[static_cast<std::size_t>(lane)];
    if (phase == barrier.phase) fault(warp, op, lane, "arrives twice at the cluster's barrier without a wait");
    phase = barrier.phase;
    if (cluster.races != nullptr && op.mode == 0) cluster.races->arrive(race_thread(warp, lane), barrier.clock);
  });
  bring(warp, mask, barrier.resumed);
  barrier.arrived += static_cast<u32>(std::popcount(mask));
  cluster_arrivals(cluster);
}

void cluster_wait(Warp& warp, const Op&, Mask mask) {
  Cluster& cluster = *warp.block->cluster;
  take(warp, mask, cluster.barrier.done_resumed);
  if (cluster.races == nullptr) return;
  each(mask, [&](int lane) { cluster.races->acquire(race_thread(warp, lane), cluster.barrier.done); });
}

// Registers are unlimited here; what ptxas makes of it is checked apart.
void setmaxnreg(Warp& warp, const Op& op, Mask) {
  const u32 count = lanes<u32>(warp, op.arg[0])[0];
  if (count < 24 || count > 256 || count % 8 != 0) {
    fault(warp, op, -1, fmt::format("setmaxnreg to {}: expected a multiple of 8 in 24..256", count));
  }
}

}  // namespace

void cluster_arrivals(Cluster& cluster) {
  ClusterBarrier& barrier = cluster.barrier;
  if (barrier.arrived == 0 || barrier.arrived < living_threads(cluster)) return;
  barrier.done = std::make_shared<const Clock>(std::move(barrier.clock.clock));
  barrier.clock = {};
  barrier.done_resumed = std::exchange(barrier.resumed, false);
  barrier.arrived = 0;
  ++barrier.phase;
}

bool cluster_phase_over(const Warp& warp, Mask mask) {
  bool over = true;
  each(mask, [&](int lane) {
    over = over && warp.cluster_phase[static_cast<std::size_t>(lane)] < warp.block->cluster->barrier.phase;
  });
  return over;
}

std::string cluster_phase_state(const Warp& warp) {
  const Cluster& cluster = *warp.block->cluster;
  return fmt::format(" (the cluster's barrier: {} of {} threads)", cluster.barrier.arrived, living_threads(cluster));
}

bool decode_cluster_barrier(Mods& mods, Op& op) {
  mods.take("aligned");
  op.kind = Class::kBarrier;
  if (mods.take("arrive")) {
    op.mode = mods.take("relaxed") ? 1 : 0;  // relaxed: orders no memory
    mods.take("release");
    op.run = cluster_arrive;
    return true;
  }
  mods.take("acquire");
  op.mode = kClusterPhase;
  op.flow = Flow::kPhase;
  op.run = cluster_wait;
  return mods.take("wait");
}

void add_cluster(Table& table) {
  constexpr Class kI = Class::kInteger;
  table.add({
      {"mapa[.shared::cluster].u32", mapa<u32, 0>, kI},
      {"mapa.shared::cluster.u64", mapa<std::uint64_t, 0>, kI},
      {"mapa.u64", mapa<std::uint64_t, kSharedWindow>, kI},
      {"setmaxnreg.{inc,dec}.sync.aligned.u32", setmaxnreg, Class::kControl, Flow::kWarpSync},
  });
}

}  // namespace ptx
