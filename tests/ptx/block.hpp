#pragma once

#include "isa.hpp"

namespace ptx {

enum class Step : std::uint8_t { kDone, kWaits, kYields };

[[nodiscard]] std::unique_ptr<Cluster> make_cluster(Launch& launch);
void start_cluster(Cluster& cluster, Dim id);

/// Runs until all warps have exited (kDone) or all that can run have used their turn (kYields); a deadlock is a fault.
Step run_cluster(Cluster& cluster);

/// One turn of a warp.
Step run_warp(Warp& warp, std::uint64_t turn);

/// A group of lanes comes to a barrier; true when it need not wait.
bool arrive(Warp& warp, const Op& op, Mask lanes);
/// Lanes of this warp have exited: barriers that wait only for them complete, unless that is an error.
void exited(Warp& warp);

/// Who waits where, for the text of a deadlock.
[[nodiscard]] std::string who_waits(const Cluster& cluster);
[[nodiscard]] std::string who_waits(Warp& warp);

}  // namespace ptx
