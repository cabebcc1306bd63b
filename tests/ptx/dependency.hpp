#pragma once

#include "isa.hpp"

// Programmatic dependent launches (PTX ISA 9.7.13.14, griddepcontrol): a dependent grid may start while the grid before
// it still runs. Only griddepcontrol.wait waits for the end of that grid and sees its memory, and whoever meets a
// thread that has waited at a barrier. Launches run one after the other here; what an earlier one touched is remembered
// byte by byte.
namespace ptx {

/// Faults when a launch that may still run touches these bytes, too, and one of both writes.
void check_dependency(const Warp& warp, const Op& op, int lane, Allocation& allocation, std::uint64_t address,
                      std::uint32_t bytes, Touch what);

/// What meets at a barrier: lanes that come, and what the barrier knows.
inline void bring(const Warp& warp, Mask lanes, bool& known) { known = known || (warp.resumed & lanes) != 0; }
inline void take(Warp& warp, Mask lanes, bool known) { warp.resumed |= known ? lanes : 0; }

}  // namespace ptx
