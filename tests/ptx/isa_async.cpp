#include <fmt/format.h>

#include <algorithm>

#include "isa.hpp"

// cp.async (PTX ISA 9.7.9.25.3): the destination is poisoned when the copy is issued and filled as late as allowed,
// when a wait completes its group; an access in between is a fault.
namespace ptx {
namespace {

// cp.async.ca.shared.global [to], [from], size{, source size}; op.size: 1 = the fourth operand is a predicate to ignore
// the source.
void issue(Warp& warp, const Op& op, Mask mask) {
  const std::uint32_t bytes = lanes<std::uint32_t>(warp, op.arg[2])[0];
  Pointers to;
  touch(warp, op, mask, 0, op.displacement[0], Space::kShared, bytes, Touch::kStore, to);
  Mask reading = 0;
  std::array<std::uint32_t, kLanes> source{};
  each(mask, [&](int lane) {
    std::uint32_t size = bytes;
    if (op.args > 3) {
      size = op.arg[3].bytes == 0 ? ((predicate(warp, op.arg[3]) >> lane & 1U) != 0 ? 0 : bytes)
                                  : low<std::uint32_t>(warp, op.arg[3], lane);
    }
    if (size > bytes) fault(warp, op, lane, fmt::format("cp.async of {} bytes from a source of {}", bytes, size));
    source[static_cast<std::size_t>(lane)] = size;
    reading |= size != 0 ? Mask{1} << lane : 0;
  });
  // A source size of 0 reads nothing: its address may lie anywhere. A shorter one is checked for its own length.
  Pointers from{};
  for (Mask rest = reading; rest != 0;) {
    const std::uint32_t size = source[static_cast<std::size_t>(std::countr_zero(rest))];
    Mask same = 0;
    each(rest, [&](int lane) { same |= source[static_cast<std::size_t>(lane)] == size ? Mask{1} << lane : 0; });
    rest &= ~same;
    touch(warp, op, same, 1, op.displacement[1], Space::kGlobal, size, Touch::kAsyncSource, from);
  }
  each(mask, [&](int lane) {
    const auto i = static_cast<std::size_t>(lane);
    const auto address = static_cast<std::uint32_t>(to.address[i]);
    std::memset(to.at[i], 0xff, bytes);
    std::fill_n(warp.block->shadow.data() + address, bytes, static_cast<std::uint8_t>(kInFlight));
    warp.copies.push_back({.op = &op,
                           .lane = static_cast<std::uint32_t>(lane),
                           .to = address,
                           .from = from.address[i],
                           .bytes = bytes,
                           .source_bytes = source[i],
                           .group = warp.open_group[i]});
  });
}

void commit(Warp& warp, const Op&, Mask mask) {
  each(mask, [&](int lane) { ++warp.open_group[static_cast<std::size_t>(lane)]; });
}

void wait_group(Warp& warp, const Op& op, Mask mask) {
  finish_copies(warp, mask, lanes<std::uint32_t>(warp, op.arg[0])[0]);
}

// Also what was not committed yet.
void wait_all(Warp& warp, const Op& op, Mask mask) {
  commit(warp, op, mask);
  finish_copies(warp, mask, 0);
}

void complete(Warp& warp, const AsyncCopy& copy) {
  Block& block = *warp.block;
  std::byte* to = block.shared.data() + copy.to;
  std::memset(to, 0, copy.bytes);
  if (copy.source_bytes != 0) std::memcpy(to, host_pointer(copy.from), copy.source_bytes);
  std::fill_n(block.shadow.data() + copy.to, copy.bytes, static_cast<std::uint8_t>(kWritten));
  Races::Conflict earlier;
  if (Races* races = block.races()) {
    races->access(race_thread(warp, static_cast<int>(copy.lane)), block.race_address(copy.to), copy.bytes,
                  Access::kWrite, copy.op, earlier);
  }
}

}  // namespace

void finish_copies(Warp& warp, Mask mask, std::uint32_t keep) {
  auto done = [&](const AsyncCopy& copy) {
    return (mask >> copy.lane & 1U) != 0 && copy.group + keep < warp.open_group[copy.lane];
  };
  for (const AsyncCopy& copy : warp.copies) {
    if (done(copy)) complete(warp, copy);
  }
  std::erase_if(warp.copies, done);
}

void add_async(Table& table) {
  constexpr Class kA = Class::kAsync;
  table.add({
      {"cp.async.{ca,cg}.{shared,shared::cta}.global[.L2::64B][.L2::128B][.L2::256B]", issue, kA},
      {"cp.async.commit_group", commit, kA},
      {"cp.async.wait_group", wait_group, kA},
      {"cp.async.wait_all", wait_all, kA},
  });
}

}  // namespace ptx
