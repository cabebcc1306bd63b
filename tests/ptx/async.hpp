#pragma once

#include "isa.hpp"

// Between mbarriers, bulk copies and the cluster's barrier.
namespace ptx {

/// The mbarrier at a shared address of a block; faults when none was initialised there.
Mbarrier& mbarrier_at(Warp& warp, const Op& op, int lane, Block& block, std::uint32_t address);
/// The same, and its initialisation must be ordered before this use.
Mbarrier& use_mbarrier(Warp& warp, const Op& op, int lane, Block& block, std::uint32_t address);

/// complete_tx by an agent.
void complete_transactions(Mbarrier& mbarrier, std::int64_t bytes);

/// Completes bulk loads that signal this mbarrier, in the order of the schedule, until its phase is over or none is
/// left.
void finish_loads(Block& block, std::uint32_t mbarrier, std::uint64_t phase);

/// cp.async.bulk.wait_group: stores of these lanes whose group is older than `keep`.
void finish_stores(Warp& warp, Mask mask, std::uint32_t keep);

/// Threads have exited: the cluster's barrier may wait for no others.
void cluster_arrivals(Cluster& cluster);
[[nodiscard]] bool cluster_phase_over(const Warp& warp, Mask mask);
[[nodiscard]] std::string cluster_phase_state(const Warp& warp);
/// barrier.cluster.*: false when a modifier is not known.
bool decode_cluster_barrier(Mods& mods, Op& op);

}  // namespace ptx
