#include <fmt/format.h>

#include <algorithm>

#include "dependency.hpp"
#include "isa.hpp"

// Every access to memory passes here: its bounds, alignment, shadow, races and counters.
namespace ptx {
namespace {

constexpr std::uint64_t kMostParameterBytes = 32'768;  // of a kernel (PTX ISA 5.1.6.2: 32,764)
constexpr std::uint32_t kBank = 4;
constexpr std::uint32_t kBanks = 32;

const char* verb(Touch what) {
  switch (what) {
    case Touch::kLoad:
      return "read";
    case Touch::kStore:
      return "write";
    case Touch::kAtomic:
      return "atomic";
    case Touch::kAsyncSource:
      return "cp.async read";
  }
  return "";
}

void count_sectors(Launch& launch, Allocation& allocation, Mask mask, std::uint32_t bytes, Touch what,
                   const Pointers& pointers) {
  // Distinct within the request: lanes mostly ascend, so a short memory of the last sectors finds nearly all repeats;
  // the sort settles the rest.
  std::array<std::uint64_t, std::size_t{kLanes} * 5> sectors;
  std::size_t count = 0;
  std::uint64_t last = ~std::uint64_t{0};
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const std::uint64_t address = pointers.address[static_cast<std::size_t>(std::countr_zero(rest))];
    for (std::uint64_t sector = address / kSector; sector <= (address + bytes - 1) / kSector; ++sector) {
      if (sector != last) sectors[count++] = sector;
      last = sector;
    }
  }
  auto* begin = sectors.data();
  if (!std::is_sorted(begin, begin + count)) std::sort(begin, begin + count);
  count = static_cast<std::size_t>(std::unique(begin, begin + count) - begin);

  const std::uint64_t first = reinterpret_cast<std::uint64_t>(allocation.base) / kSector;
  const auto lanes_active = static_cast<std::uint64_t>(std::popcount(mask));
  auto add = [&](Traffic& traffic, std::vector<std::uint64_t>& seen) {
    if (seen.empty()) seen.resize(allocation.bytes / kSector / 64 + 1);
    traffic.bytes += lanes_active * bytes;
    traffic.sectors += count;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t at = sectors[i] - first;
      seen[at / 64] |= std::uint64_t{1} << (at % 64);
    }
  };
  if (what != Touch::kStore) add(launch.counters->global_loads, allocation.loaded);
  if (what == Touch::kStore || what == Touch::kAtomic) add(launch.counters->global_stores, allocation.stored);
}

bool all_written(const std::uint8_t* shadow, std::uint32_t bytes) {
  for (std::uint32_t i = 0; i < bytes; ++i) {
    if (shadow[i] != kWritten) return false;
  }
  return true;
}

void touch_global(Warp& warp, const Op& op, Mask mask, std::uint32_t bytes, Touch what, Pointers& out) {
  Launch& launch = *warp.block->launch;
  const bool counting = launch.options.counters && op.kind != Class::kParameter;  // ld.const is not global traffic
  Allocation* allocation = nullptr;
  Mask counted = 0;
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const std::uint64_t address = out.address[static_cast<std::size_t>(lane)];
    if (allocation == nullptr || !allocation->contains(address, bytes)) {
      if (counted != 0 && counting) count_sectors(launch, *allocation, counted, bytes, what, out);
      counted = 0;
      allocation = memory().find(address);
      if (allocation == nullptr || !allocation->contains(address, bytes)) {
        fault(warp, op, lane,
              fmt::format("out of bounds: global {} of {} bytes at {:#x}, {}", verb(what), bytes, address,
                          memory().describe(address)));
      }
    }
    counted |= Mask{1} << lane;
    std::uint8_t* shadow = allocation->shadow_of(address);
    if (what != Touch::kStore && launch.options.checks.uninitialised && !all_written(shadow, bytes)) {
      fault(warp, op, lane,
            fmt::format("uninitialised: global {} of {} bytes at {:#x} that nothing wrote, {}", verb(what), bytes,
                        address, memory().describe(address)));
    }
    if (what == Touch::kStore) std::fill_n(shadow, bytes, static_cast<std::uint8_t>(kWritten));
    if (launch.records) check_dependency(warp, op, lane, *allocation, address, bytes, what);
    out.at[static_cast<std::size_t>(lane)] = host_pointer(address);
  }
  if (counted != 0 && counting) count_sectors(launch, *allocation, counted, bytes, what, out);
}

// Bank conflicts: 4-byte accesses go out for 32 lanes at once, 8-byte ones for 16, 16-byte ones for 8; within one such
// part each bank delivers one word a wavefront.
void count_wavefronts(SharedTraffic& traffic, Mask mask, std::uint32_t bytes, const Pointers& pointers) {
  const std::uint32_t part_lanes = bytes <= 4 ? 32 : (bytes == 8 ? 16 : 8);
  std::uint64_t distinct = 0;
  for (std::uint32_t start = 0; start < kLanes; start += part_lanes) {
    std::array<std::uint32_t, 64> words;
    std::size_t count = 0;
    for (std::uint32_t lane = start; lane < start + part_lanes; ++lane) {
      if ((mask >> lane & 1U) == 0) continue;
      const auto first = static_cast<std::uint32_t>(pointers.address[lane]) / kBank;
      for (std::uint32_t word = 0; word < std::max(bytes / kBank, 1U); ++word) words[count++] = first + word;
    }
    if (count == 0) continue;
    if (!std::is_sorted(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count))) {
      std::sort(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count));
    }
    count = static_cast<std::size_t>(std::unique(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count)) -
                                     words.begin());
    std::array<std::uint8_t, kBanks> load{};
    for (std::size_t i = 0; i < count; ++i) ++load[words[i] % kBanks];
    traffic.wavefronts += *std::max_element(load.begin(), load.end());
    distinct += count;
  }
  traffic.ideal_wavefronts += (distinct + kBanks - 1) / kBanks;
}

const char* past(Access access) {
  switch (access) {
    case Access::kRead:
      return "read";
    case Access::kWrite:
      return "write";
    case Access::kStrongRead:
      return "volatile read";
    case Access::kStrongWrite:
      return "atomic or volatile write";
  }
  return "";
}

void check_race(Warp& warp, const Op& op, int lane, const SharedPlace& at, std::uint32_t bytes, Touch what) {
  const bool strong = op.strong || what == Touch::kAtomic;
  const Access access = what == Touch::kLoad ? (strong ? Access::kStrongRead : Access::kRead)
                                             : (strong ? Access::kStrongWrite : Access::kWrite);
  Races::Conflict earlier;
  if (!warp.block->races()->access(race_thread(warp, lane), at.block->race_address(at.address), bytes, access, &op,
                                   earlier)) {
    return;
  }
  race_fault(warp, op, lane, at.address, bytes, verb(what), earlier);
}

void touch_shared(Warp& warp, const Op& op, Mask mask, std::uint32_t bytes, Touch what, Pointers& out) {
  Launch& launch = *warp.block->launch;
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const SharedPlace at = shared_place(warp, op, lane, out.address[static_cast<std::size_t>(lane)]);
    check_shared(warp, op, lane, *at.block, at.address, bytes, what);
    if (warp.block->races() != nullptr) check_race(warp, op, lane, at, bytes, what);
    if (what != Touch::kLoad) {
      std::fill_n(at.block->shadow.data() + at.address, bytes, static_cast<std::uint8_t>(kWritten));
    }
    out.at[static_cast<std::size_t>(lane)] = at.block->shared.data() + at.address;
  }
  if (launch.options.counters) count_wavefronts(launch.counters->shared, mask, bytes, out);
}

void touch_local(Warp& warp, const Op& op, Mask mask, std::uint32_t bytes, Touch what, Pointers& out) {
  const std::size_t size = warp.block->launch->program->local_bytes;
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const std::uint64_t address = out.address[static_cast<std::size_t>(lane)];
    if (address + bytes > size || address > size) {
      fault(warp, op, lane,
            fmt::format("out of bounds: local {} of {} bytes at byte {} of {}", verb(what), bytes,
                        static_cast<std::int64_t>(address), size));
    }
    out.at[static_cast<std::size_t>(lane)] = warp.local.data() + static_cast<std::size_t>(lane) * size + address;
  }
}

void touch_parameter(Warp& warp, const Op& op, Mask mask, std::uint32_t bytes, Pointers& out) {
  std::vector<std::byte>& parameters = warp.block->launch->parameters;
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<std::size_t>(std::countr_zero(rest));
    std::uint64_t offset = out.address[lane];
    if (offset >= kMostParameterBytes)
      offset -= reinterpret_cast<std::uint64_t>(parameters.data());  // an address that was taken
    if (offset + bytes > parameters.size()) {
      fault(warp, op, static_cast<int>(lane),
            fmt::format("out of bounds: parameter byte {} of {}", offset, parameters.size()));
    }
    out.at[lane] = parameters.data() + offset;
  }
}

Space space_of(std::uint64_t address) {
  if (address >= kLocalWindow) return Space::kLocal;
  return address >= kSharedWindow ? Space::kShared : Space::kGlobal;
}

void addresses(Warp& warp, const Operand& base, std::int64_t displacement, Pointers& out) {
  const auto add = static_cast<std::uint64_t>(displacement);
  if (base.bytes == 4 && base.constant == 0) {
    const auto* at = lanes<std::uint32_t>(warp, base);
    for (std::size_t lane = 0; lane < kLanes; ++lane) out.address[lane] = at[lane] + add;
  } else {
    const auto* at = lanes<std::uint64_t>(warp, base);
    for (std::size_t lane = 0; lane < kLanes; ++lane) out.address[lane] = at[lane] + add;
  }
}

void touch_space(Warp& warp, const Op& op, Mask mask, Space space, std::uint32_t bytes, Touch what, Pointers& out) {
  switch (space) {
    case Space::kShared:
      return touch_shared(warp, op, mask, bytes, what, out);
    case Space::kLocal:
      return touch_local(warp, op, mask, bytes, what, out);
    case Space::kParameter:
      return touch_parameter(warp, op, mask, bytes, out);
    default:
      return touch_global(warp, op, mask, bytes, what, out);
  }
}

}  // namespace

void touch(Warp& warp, const Op& op, Mask mask, std::uint32_t arg, std::int64_t displacement, Space space,
           std::uint32_t bytes, Touch what, Pointers& out) {
  addresses(warp, op.arg[arg], displacement, out);
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const std::uint64_t address = out.address[static_cast<std::size_t>(lane)];
    if (std::has_single_bit(bytes) && (address & (bytes - 1)) != 0) {
      fault(warp, op, lane, fmt::format("misaligned: {} of {} bytes at {:#x}", verb(what), bytes, address));
    }
  }
  if (space != Space::kGeneric) return touch_space(warp, op, mask, space, bytes, what, out);
  std::array<Mask, 5> in{};
  for (Mask rest = mask; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<std::size_t>(std::countr_zero(rest));
    const Space found = space_of(out.address[lane]);
    if (found == Space::kShared) out.address[lane] -= kSharedWindow;
    if (found == Space::kLocal) out.address[lane] -= kLocalWindow;
    in[static_cast<std::size_t>(found)] |= Mask{1} << lane;
  }
  for (const Space each_space : {Space::kGlobal, Space::kShared, Space::kLocal}) {
    const Mask part = in[static_cast<std::size_t>(each_space)];
    if (part != 0) touch_space(warp, op, part, each_space, bytes, what, out);
  }
}

SharedPlace shared_place(Warp& warp, const Op& op, int lane, std::uint64_t address) {
  Block* block = warp.block;
  const std::uint64_t rank = address >> kRankBits;
  if (rank != 0 && rank <= block->cluster->blocks.size()) {
    block = block->cluster->blocks[rank - 1].get();
    if (block->exited()) fault(warp, op, lane, fmt::format("block {} of the cluster has exited", rank - 1));
    address &= kOffsetMask;
  }
  if (address >= block->shared.size()) {
    fault(warp, op, lane,
          fmt::format("out of bounds: shared address {} of {}", static_cast<std::int64_t>(address),
                      block->shared.size()));
  }
  return {block, static_cast<std::uint32_t>(address)};
}

void check_shared(Warp& warp, const Op& op, int lane, const Block& block, std::uint32_t address, std::uint32_t bytes,
                  Touch what) {
  if (std::uint64_t{address} + bytes > block.shared.size()) {
    fault(warp, op, lane,
          fmt::format("out of bounds: shared {} of {} bytes at shared address {} of {}", verb(what), bytes, address,
                      block.shared.size()));
  }
  const std::uint8_t* shadow = block.shadow.data() + address;
  if (std::all_of(shadow, shadow + bytes, [](std::uint8_t state) { return state == kWritten; })) return;
  auto say = [&](const std::string& what_is_wrong, const char* where) {
    fault(warp, op, lane,
          fmt::format("{}: shared {} of {} bytes at shared address {}{}", what_is_wrong, verb(what), bytes, address,
                      where));
  };
  for (std::uint32_t i = 0; i < bytes; ++i) {
    if (shadow[i] == kGap) say("out of bounds", ", between two variables");
    if (shadow[i] == kInFlight) say("race", " while an asynchronous copy to it is in flight: a wait is missing");
    if (shadow[i] == kBarrierObject) say("misuse", ", where an mbarrier lies");
    if (shadow[i] == kUnwritten && what != Touch::kStore && warp.block->launch->options.checks.uninitialised) {
      say("uninitialised", " that nothing wrote");
    }
  }
}

void race_fault(Warp& warp, const Op& op, int lane, std::uint32_t address, std::uint32_t bytes, const char* what,
                const Races::Conflict& earlier) {
  const Block& block = *warp.block;
  const bool agent = earlier.thread >= block.races()->threads();
  std::string who = agent ? "asynchronous work" : fmt::format("thread {}", earlier.thread);
  if (!agent && block.cluster->blocks.size() > 1) {
    const auto size = static_cast<std::uint32_t>(block.warps.size()) * kLanes;
    who = fmt::format("thread {} of block {} of the cluster", earlier.thread % size, earlier.thread / size);
  }
  const std::string at = earlier.op == nullptr
                             ? "that has not been waited for"
                             : "at " + place(*block.launch->program, *static_cast<const Op*>(earlier.op));
  fault(warp, op, lane,
        fmt::format("race: shared {} of {} bytes at shared address {} {} the {} by {} {}{}", what, bytes, address,
                    earlier.unfenced ? "does not see" : "is not ordered after", past(earlier.access), who, at,
                    earlier.unfenced ? ": fence.proxy.async is missing" : ""));
}

void touch_bulk(Warp& warp, const Op& op, int lane, std::uint64_t address, std::uint32_t bytes, Touch what) {
  Launch& launch = *warp.block->launch;
  Allocation* allocation = memory().find(address);
  if (allocation == nullptr || !allocation->contains(address, bytes)) {
    fault(warp, op, lane,
          fmt::format("out of bounds: bulk global {} of {} bytes at {:#x}, {}", verb(what), bytes, address,
                      memory().describe(address)));
  }
  std::uint8_t* shadow = allocation->shadow_of(address);
  if (what == Touch::kStore) {
    std::fill_n(shadow, bytes, static_cast<std::uint8_t>(kWritten));
  } else if (launch.options.checks.uninitialised && !all_written(shadow, bytes)) {
    fault(warp, op, lane,
          fmt::format("uninitialised: bulk global {} of {} bytes at {:#x} that nothing wrote, {}", verb(what), bytes,
                      address, memory().describe(address)));
  }
  if (launch.records) check_dependency(warp, op, lane, *allocation, address, bytes, what);
  if (!launch.options.counters) return;
  const bool store = what == Touch::kStore;
  Traffic& traffic = store ? launch.counters->global_stores : launch.counters->global_loads;
  std::vector<std::uint64_t>& seen = store ? allocation->stored : allocation->loaded;
  if (seen.empty()) seen.resize(allocation->bytes / kSector / 64 + 1);
  const std::uint64_t first = reinterpret_cast<std::uint64_t>(allocation->base) / kSector;
  traffic.bytes += bytes;
  for (std::uint64_t sector = address / kSector; sector <= (address + bytes - 1) / kSector; ++sector) {
    ++traffic.sectors;
    seen[(sector - first) / 64] |= std::uint64_t{1} << ((sector - first) % 64);
  }
}

std::uint64_t address_of(Warp& warp, const Operand& operand, int lane, std::int64_t displacement) {
  const std::uint64_t base = operand.bytes == 4 && operand.constant == 0
                                 ? std::uint64_t{lanes<std::uint32_t>(warp, operand)[lane]}
                                 : lanes<std::uint64_t>(warp, operand)[lane];
  return base + static_cast<std::uint64_t>(displacement);
}

}  // namespace ptx
