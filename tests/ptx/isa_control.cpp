#include "isa.hpp"

// Control flow (PTX ISA 9.7.12) and what does nothing here. Calls are inlined by the loader; see native.cpp for
// vprintf.
namespace ptx {
namespace {

void nothing(Warp&, const Op&, Mask) {}
void trap(Warp& warp, const Op& op, Mask mask) { fault(warp, op, std::countr_zero(mask), "the kernel executes trap"); }
void grid_wait(Warp& warp, const Op&, Mask mask) {
  warp.resumed |= mask;
  warp.block->launch->has_waited = true;
}
void zero_policy(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) { lanes<std::uint64_t>(warp, op.arg[0])[lane] = 0; });
}

}  // namespace

void add_control(Table& table) {
  constexpr Class kC = Class::kControl;
  table.add({
      {"bra[.uni]", nothing, kC, Flow::kBranch},
      {"brx.idx[.uni]", nothing, kC, Flow::kIndexedBranch},
      {"ret[.uni]", nothing, kC, Flow::kExit},
      {"exit", nothing, kC, Flow::kExit},
      {"trap", trap, kC},
      {"nanosleep.u32", nothing, kC, Flow::kYield},
      {"griddepcontrol.wait", grid_wait, kC},  // dependency.hpp
      {"griddepcontrol.launch_dependents", nothing, kC},
      {"createpolicy.fractional.L2::{evict_first,evict_last,evict_normal,evict_unchanged}.b64", zero_policy, kC},
  });
}

}  // namespace ptx
