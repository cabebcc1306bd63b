#include "dependency.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ptx {
namespace {

void add(std::vector<bool>& bits, std::size_t size, std::uint64_t offset, std::uint32_t bytes) {
  if (bits.empty()) bits.resize(size);
  std::fill_n(bits.begin() + static_cast<std::ptrdiff_t>(offset), bytes, true);
}

bool meets(const std::vector<bool>& bits, std::uint64_t offset, std::uint32_t bytes) {
  if (bits.empty()) return false;
  const auto first = bits.begin() + static_cast<std::ptrdiff_t>(offset);
  return std::find(first, first + bytes, true) != first + bytes;
}

}  // namespace

void check_dependency(const Warp& warp, const Op& op, int lane, Allocation& allocation, std::uint64_t address,
                      std::uint32_t bytes, Touch what) {
  const Launch& launch = *warp.block->launch;
  const std::uint64_t offset = address - reinterpret_cast<std::uint64_t>(allocation.base);
  const bool reads = what != Touch::kStore;
  const bool writes = what == Touch::kStore || what == Touch::kAtomic;
  const auto check = [&](const Touched& earlier, const char* why) {
    const bool meets_write = meets(earlier.written, offset, bytes);
    if (!meets_write && !(writes && meets(earlier.read, offset, bytes))) return;
    fault(warp, op, lane,
          fmt::format("race: global {} of {} bytes {}, which {} {}", writes ? "write" : "read", bytes,
                      memory().describe(address), meets_write ? "an earlier kernel writes" : "an earlier kernel reads",
                      why));
  };
  if (launch.dependent) {
    if ((warp.resumed >> lane & 1U) == 0) check(allocation.before, "and may still run: griddepcontrol.wait is missing");
    check(allocation.older, "and may still run: the kernel between them did not execute griddepcontrol.wait");
  }
  if (reads) add(allocation.now.read, allocation.bytes, offset, bytes);
  if (writes) add(allocation.now.written, allocation.bytes, offset, bytes);
}

}  // namespace ptx
