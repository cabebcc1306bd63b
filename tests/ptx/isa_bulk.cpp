#include <fmt/format.h>

#include <algorithm>

#include "async.hpp"
#include "tensor_map.hpp"

// cp.async.bulk and its tensor form (PTX ISA 9.7.9.25.4, 9.7.9.27). A load poisons its destination at issue and arrives
// as late as allowed: when somebody waits for the mbarrier that it signals, and then no more loads than that wait
// needs. A store reads when its group is waited for.
namespace ptx {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u32 kMapBytes = 128;
constexpr u32 kTensorAlign = 128;  // of shared memory

enum : u32 { kLoadsGlobal, kLoadsShared, kStores, kMulticast = 4, kTensor = 8 };

u32 store_agent(Warp& warp, const Races& races) {
  return races.reader(race_thread(warp, 0) / kLanes * kReadersOfWarp + 1);
}

const TensorMap& map_at(Warp& warp, const Op& op, int lane, u64 address) {
  const std::vector<std::byte>& parameters = warp.block->launch->parameters;
  const u64 offset = address - reinterpret_cast<u64>(parameters.data());
  const bool is_parameter = offset < parameters.size() && parameters.size() - offset >= kMapBytes;
  Allocation* allocation = is_parameter ? nullptr : memory().find(address);
  if (!is_parameter && (allocation == nullptr || !allocation->contains(address, kMapBytes))) {
    fault(warp, op, lane, fmt::format("out of bounds: no tensor map lies at {:#x}", address));
  }
  const auto& map = *reinterpret_cast<const TensorMap*>(host_pointer(address));
  const u64 start = is_parameter ? offset : address;
  if (map.magic != kTensorMapMagic || start % 64 != 0) {
    fault(warp, op, lane, "not a tensor map: 128 bytes of cuTensorMapEncodeTiled, aligned to 64, are needed");
  }
  return map;
}

/// Fills in bytes and parts of the tensor form; `first` is the operand of the map, the coordinates follow it.
void describe_box(Warp& warp, const Op& op, int lane, u32 first, std::int64_t displacement, BulkCopy& copy) {
  const TensorMap& map = map_at(warp, op, lane, address_of(warp, op.arg[first], lane, displacement));
  if (map.rank != op.vector) {
    fault(warp, op, lane, fmt::format("a copy of {} dimensions with a tensor map of {}", op.vector, map.rank));
  }
  if (map.swizzle != 0 && map.box[0] * map.element_bytes != map.swizzle) {
    fault(warp, op, lane, "a box narrower than its swizzle is not supported");
  }
  std::array<std::int32_t, kMostDimensions> at{};
  for (u32 i = 0; i < op.vector; ++i) at[i] = low<std::int32_t>(warp, op.arg[first + 1 + i], lane);
  copy.bytes = box_bytes(map);
  copy.swizzle = map.swizzle;
  copy.fill = map.fills_nan != 0 ? std::byte{0xff} : std::byte{0};
  copy.parts = box_parts(map, at);
  if (copy.shared % kTensorAlign != 0) {
    fault(warp, op, lane,
          fmt::format("misaligned: a tensor copy at shared address {}, not a multiple of 128", copy.shared));
  }
}

/// Calls visit(global, shared address, bytes) for pieces that lie together on both sides.
template <class Visit>
void for_each_piece(const BulkCopy& copy, Visit visit) {
  for (const BulkPart& part : copy.parts) {
    for (u32 done = 0; done < part.bytes;) {
      const u32 at = copy.shared + part.shared + done;
      const u32 bytes = copy.swizzle == 0 ? part.bytes - done : std::min(part.bytes - done, 16 - at % 16);
      visit(part.global == 0 ? 0 : part.global + done, swizzled(at, copy.swizzle), bytes);
      done += bytes;
    }
  }
}

// The copy as one destination block sees it.
void start_load(Warp& warp, BulkCopy copy, Block& block) {
  copy.block = &block;
  const Op& op = *copy.op;
  const auto lane = static_cast<int>(copy.lane);
  if (block.exited()) fault(warp, op, lane, fmt::format("block {} of the cluster has exited", block.rank));
  use_mbarrier(warp, op, lane, block, copy.mbarrier);
  check_shared(warp, op, lane, block, copy.shared, copy.bytes, Touch::kStore);
  if (Races* races = warp.block->races()) {
    Races::Conflict earlier;
    copy.agent = races->writer(block.race_address(copy.mbarrier) / 8);
    if (races->async_write(race_thread(warp, lane), copy.agent, block.race_address(copy.shared), copy.bytes, &op,
                           earlier)) {
      race_fault(warp, op, lane, copy.shared, copy.bytes, "bulk write", earlier);
    }
    copy.epoch = races->epoch(copy.agent);
    races->advance(copy.agent);
  }
  std::fill_n(block.shared.data() + copy.shared, copy.bytes, std::byte{0xff});
  std::fill_n(block.shadow.data() + copy.shared, copy.bytes, static_cast<std::uint8_t>(kInFlight));
  warp.block->cluster->loads.push_back(std::move(copy));
}

void finish_load(Cluster& cluster, std::size_t index) {
  const BulkCopy copy = std::move(cluster.loads[index]);
  cluster.loads.erase(cluster.loads.begin() + static_cast<std::ptrdiff_t>(index));
  Block& block = *copy.block;
  for_each_piece(copy, [&](u64 from, u32 to, u32 bytes) {
    if (from == 0) {
      std::fill_n(block.shared.data() + to, bytes, copy.fill);
    } else {
      std::memcpy(block.shared.data() + to, host_pointer(from), bytes);
    }
  });
  std::fill_n(block.shadow.data() + copy.shared, copy.bytes, static_cast<std::uint8_t>(kWritten));
  Mbarrier& mbarrier = block.mbarriers.at(copy.mbarrier);
  if (cluster.races != nullptr) cluster.races->arrive(copy.agent, copy.epoch, mbarrier.clock);
  complete_transactions(mbarrier, copy.bytes);
}

// cp.async.bulk.shared::cluster.{global,shared::cta} [to], [from], bytes, [mbarrier]{, mask}; tensor: [to], [map,
// {at}], [mbarrier]{, mask}.
void load(Warp& warp, const Op& op, Mask mask) {
  const bool tensor = (op.mode & kTensor) != 0;
  const u32 mbarrier_arg = tensor ? 2U + op.vector : 3;
  each_in_order(warp, mask, [&](int lane) {
    const SharedPlace to = shared_place(warp, op, lane, address_of(warp, op.arg[0], lane, op.displacement[0]));
    const SharedPlace signal =
        shared_place(warp, op, lane, address_of(warp, op.arg[mbarrier_arg], lane, op.displacement[2]));
    if (to.block != signal.block) fault(warp, op, lane, "the copy and its mbarrier lie in different blocks");
    BulkCopy copy{
        .op = &op, .warp = &warp, .lane = static_cast<u32>(lane), .shared = to.address, .mbarrier = signal.address};
    if (tensor) {
      describe_box(warp, op, lane, 1, op.displacement[1], copy);
    } else {
      u64 from = address_of(warp, op.arg[1], lane, op.displacement[1]);
      copy.bytes = low<u32>(warp, op.arg[2], lane);
      if (copy.bytes == 0 || copy.bytes % 16 != 0 || from % 16 != 0 || copy.shared % 16 != 0) {
        fault(warp, op, lane, "misaligned: a bulk copy takes multiples of 16 bytes");
      }
      if ((op.mode & 3U) == kLoadsShared) {
        const SharedPlace source = shared_place(warp, op, lane, from);
        check_shared(warp, op, lane, *source.block, source.address, copy.bytes, Touch::kLoad);
        from = reinterpret_cast<u64>(source.block->shared.data() + source.address);
      }
      copy.parts = {{.global = from, .bytes = copy.bytes}};
    }
    if ((op.mode & 3U) == kLoadsGlobal) {
      for (const BulkPart& part : copy.parts) {
        if (part.global != 0) touch_bulk(warp, op, lane, part.global, part.bytes, Touch::kLoad);
      }
    }
    if ((op.mode & kMulticast) == 0) return start_load(warp, std::move(copy), *to.block);
    const u32 blocks = low<std::uint16_t>(warp, op.arg[mbarrier_arg + 1], lane);
    for (u32 rank = 0; blocks >> rank != 0; ++rank) {
      if ((blocks >> rank & 1U) == 0) continue;
      if (rank >= warp.block->cluster->blocks.size()) {
        fault(warp, op, lane,
              fmt::format("multicast to block {} of a cluster of {}", rank, warp.block->cluster->blocks.size()));
      }
      start_load(warp, copy, *warp.block->cluster->blocks[rank]);
    }
  });
}

// cp.async.bulk.global.shared::cta.bulk_group [to], [from], bytes; tensor: [map, {at}], [from].
void store(Warp& warp, const Op& op, Mask mask) {
  const bool tensor = (op.mode & kTensor) != 0;
  const u32 source_arg = tensor ? 1U + op.vector : 1;
  each_in_order(warp, mask, [&](int lane) {
    const SharedPlace from =
        shared_place(warp, op, lane, address_of(warp, op.arg[source_arg], lane, op.displacement[1]));
    BulkCopy copy{.op = &op,
                  .warp = &warp,
                  .lane = static_cast<u32>(lane),
                  .block = from.block,
                  .shared = from.address,
                  .group = warp.open_bulk_group[static_cast<std::size_t>(lane)]};
    if (tensor) {
      describe_box(warp, op, lane, 0, op.displacement[0], copy);
    } else {
      copy.bytes = low<u32>(warp, op.arg[2], lane);
      copy.parts = {{.global = address_of(warp, op.arg[0], lane, op.displacement[0]), .bytes = copy.bytes}};
      if (copy.bytes == 0 || (copy.bytes | copy.parts[0].global | copy.shared) % 16 != 0) {
        fault(warp, op, lane, "misaligned: a bulk copy takes multiples of 16 bytes");
      }
    }
    check_shared(warp, op, lane, *copy.block, copy.shared, copy.bytes, Touch::kLoad);
    if (Races* races = warp.block->races()) {
      Races::Conflict earlier;
      if (races->async_read(race_thread(warp, lane), store_agent(warp, *races), copy.block->race_address(copy.shared),
                            copy.bytes, earlier)) {
        race_fault(warp, op, lane, copy.shared, copy.bytes, "bulk read", earlier);
      }
    }
    for (const BulkPart& part : copy.parts) {
      if (part.global != 0) touch_bulk(warp, op, lane, part.global, part.bytes, Touch::kStore);
    }
    warp.bulk_stores.push_back(std::move(copy));
  });
}

void commit(Warp& warp, const Op&, Mask mask) {
  if (Races* races = warp.block->races()) races->advance(store_agent(warp, *races));
  each(mask, [&](int lane) { ++warp.open_bulk_group[static_cast<std::size_t>(lane)]; });
}

void wait_group(Warp& warp, const Op& op, Mask mask) {
  const u32 keep = lanes<u32>(warp, op.arg[0])[0];
  finish_stores(warp, mask, keep);
  Races* races = warp.block->races();
  if (races == nullptr) return;
  const u32 agent = store_agent(warp, *races);
  const u32 epoch = races->epoch(agent);
  each(mask, [&](int lane) { races->learn(race_thread(warp, lane), agent, epoch - std::min(epoch, keep + 1)); });
}

bool decode_bulk(Mods& mods, Op& op) {
  mods.take("async");
  mods.take("bulk");
  op.kind = Class::kAsync;
  if (mods.take("commit_group")) {
    op.run = commit;
    return true;
  }
  if (mods.take("wait_group")) {
    mods.take("read");
    op.run = wait_group;
    return true;
  }
  if (mods.take("tensor")) {
    const std::string_view dimensions = mods.take_any({"1d", "2d", "3d", "4d", "5d"});
    if (dimensions.empty()) return false;
    op.vector = static_cast<std::uint8_t>(dimensions[0] - '0');
    op.mode = kTensor;
    mods.take("tile");
  }
  mods.take_prefixed("L2::");
  if (mods.take("bulk_group")) {
    op.mode |= kStores;
    op.run = store;
    return mods.take("global") && mods.take("shared::cta");
  }
  const bool from_shared = mods.take("shared::cta");
  const bool from_global = mods.take("global");
  op.mode |= from_global ? kLoadsGlobal : kLoadsShared;
  if (mods.take("multicast::cluster")) op.mode |= kMulticast;
  op.run = load;
  return mods.take("mbarrier::complete_tx::bytes") && (mods.take("shared::cluster") || (from_shared && from_global));
}

bool decode_cp(Mods& mods, const Instruction& text, Op& op) {
  return text.opcode.starts_with("cp.async.bulk.") && decode_bulk(mods, op);
}

}  // namespace

void finish_loads(Block& block, std::uint32_t mbarrier, std::uint64_t phase) {
  Cluster& cluster = *block.cluster;
  Launch& launch = *block.launch;
  while (block.mbarriers.at(mbarrier).phase == phase) {
    std::vector<std::size_t> mine;
    for (std::size_t i = 0; i < cluster.loads.size(); ++i) {
      if (cluster.loads[i].block == &block && cluster.loads[i].mbarrier == mbarrier) mine.push_back(i);
    }
    if (mine.empty()) return;
    const Order order = launch.options.order;
    finish_load(cluster, order == Order::kForward   ? mine.front()
                         : order == Order::kReverse ? mine.back()
                                                    : mine[launch.random() % mine.size()]);
  }
}

void finish_stores(Warp& warp, Mask mask, std::uint32_t keep) {
  auto done = [&](const BulkCopy& copy) {
    return (mask >> copy.lane & 1U) != 0 && copy.group + keep < warp.open_bulk_group[copy.lane];
  };
  for (const BulkCopy& copy : warp.bulk_stores) {
    if (!done(copy)) continue;
    for_each_piece(copy, [&](u64 to, u32 from, u32 bytes) {
      if (to != 0) std::memcpy(host_pointer(to), copy.block->shared.data() + from, bytes);
    });
  }
  std::erase_if(warp.bulk_stores, done);
}

void check_bulk_done(Cluster& cluster) {
  for (const BulkCopy& copy : cluster.loads) {
    fault(*copy.warp, *copy.op, static_cast<int>(copy.lane),
          "the kernel ends while this bulk copy to shared memory is in flight: nobody waited for it");
  }
  for (const auto& block : cluster.blocks) {
    for (const auto& warp : block->warps) {
      for (const BulkCopy& copy : warp->bulk_stores) {
        fault(*warp, *copy.op, static_cast<int>(copy.lane),
              "the kernel ends while this bulk store may still read shared memory: a commit or a wait is missing");
      }
    }
  }
}

void add_bulk(Table& table) { table.add({Family{"cp", decode_cp}}); }

}  // namespace ptx
