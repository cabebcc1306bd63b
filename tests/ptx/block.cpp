#include "block.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "load.hpp"

namespace ptx {
namespace {

constexpr std::uint64_t kTurn = 50'000;           // warp instructions before another warp gets its turn
constexpr std::uint64_t kRandomPatience = 5'000;  // before another block gets its turn in a random schedule
constexpr std::uint64_t kRandomTurn = 64;         // at most, in a random schedule

void start_warp(Warp& warp) {
  const Program& program = *warp.block->launch->program;
  warp.exited = 0;
  warp.groups.assign(1, {.pc = 0, .lanes = warp.exists});
  warp.copies.clear();
  warp.open_group.fill(0);
  warp.carry.fill(0);
  warp.bulk_stores.clear();
  warp.open_bulk_group.fill(0);
  warp.cluster_phase.fill(0);
  warp.products = {};
  warp.resumed = 0;
  warp.last_exit = nullptr;
  warp.turn_over = false;
  std::fill(warp.local.begin(), warp.local.end(), std::byte{0xff});
  for (const auto& [name, operand] : program.special) set_special(warp, name, operand);
}

std::unique_ptr<Warp> make_warp(Block& block, std::uint32_t index, std::uint32_t threads) {
  const Program& program = *block.launch->program;
  auto warp = std::make_unique<Warp>();
  warp->block = &block;
  warp->index = index;
  const std::uint32_t count = std::min<std::uint32_t>(threads - index * kLanes, kLanes);
  warp->exists = count == kLanes ? kAll : (Mask{1} << count) - 1;
  warp->registers.resize(program.register_bytes / 8 + kLanes);
  warp->local.resize(program.local_bytes * kLanes);
  auto* registers = reinterpret_cast<std::byte*>(warp->registers.data());
  warp->base[0] = {registers, registers, registers, registers};
  for (std::size_t width = 0; width < 4; ++width) {
    // The executor never writes to constants; one pointer type serves both.
    warp->base[1][width] = reinterpret_cast<std::byte*>(const_cast<std::uint64_t*>(program.pools[width].data()));
  }
  return warp;
}

// Shared memory starts as garbage and unwritten; what lies between two variables is out of bounds.
void start_shared(Block& block) {
  const Program& program = *block.launch->program;
  std::fill(block.shared.begin(), block.shared.end(), std::byte{0xff});
  std::fill(block.shadow.begin(), block.shadow.end(), static_cast<std::uint8_t>(kGap));
  auto open = [&](std::size_t offset, std::size_t bytes) {
    std::fill_n(block.shadow.begin() + static_cast<std::ptrdiff_t>(offset), bytes,
                static_cast<std::uint8_t>(kUnwritten));
  };
  for (const ParameterSlot& variable : program.shared_variables) open(variable.offset, variable.bytes);
  open(program.static_shared_bytes, block.launch->dynamic_shared);
}

std::unique_ptr<Block> make_block(Cluster& cluster, std::uint32_t rank) {
  Launch& launch = *cluster.launch;
  auto block = std::make_unique<Block>();
  block->launch = &launch;
  block->cluster = &cluster;
  block->rank = rank;
  const auto threads = static_cast<std::uint32_t>(launch.block.count());
  for (std::uint32_t i = 0; i * kLanes < threads; ++i) block->warps.push_back(make_warp(*block, i, threads));
  block->shared.resize(launch.program->static_shared_bytes + launch.dynamic_shared);
  block->shadow.resize(block->shared.size());
  return block;
}

void start_block(Block& block, Dim id) {
  block.id = id;
  start_shared(block);
  block.barriers = {};
  block.mbarriers.clear();
  block.slept = false;
  for (auto& warp : block.warps) start_warp(*warp);
}

std::unique_ptr<Races> make_races(const Cluster& cluster) {
  const Block& block = *cluster.blocks.front();
  const auto blocks = static_cast<std::uint32_t>(cluster.blocks.size());
  const auto warps = blocks * static_cast<std::uint32_t>(block.warps.size());
  const bool async = cluster.launch->program->async_proxy;
  return std::make_unique<Races>(warps * kLanes, async ? warps * kReadersOfWarp : 0, async ? kWriters : 0,
                                 std::size_t{blocks} * block.race_stride());
}

std::vector<Warp*> warps_of(Cluster& cluster) {
  std::vector<Warp*> warps;
  for (auto& block : cluster.blocks) {
    for (auto& warp : block->warps) warps.push_back(warp.get());
  }
  return warps;
}

// All four warps of a warpgroup execute each wgmma together (PTX ISA 9.7.15).
void check_warpgroups(const Block& block) {
  for (std::size_t i = 0; i < block.warps.size(); ++i) {
    const Warp& warp = *block.warps[i];
    check_products_done(warp);
    const Warp& first = *block.warps[i / 4 * 4];
    if (warp.products.count == first.products.count) continue;
    fault(warp, *warp.last_exit, -1,
          fmt::format("divergence: warp {} executed {} wgmma instructions, warp {} of its warpgroup {}", warp.index,
                      warp.products.count, first.index, first.products.count));
  }
}

}  // namespace

bool Block::exited() const {
  return std::all_of(warps.begin(), warps.end(), [](const auto& warp) { return warp->groups.empty(); });
}

std::unique_ptr<Cluster> make_cluster(Launch& launch) {
  auto cluster = std::make_unique<Cluster>();
  cluster->launch = &launch;
  for (std::uint32_t i = 0; i < launch.cluster.count(); ++i) cluster->blocks.push_back(make_block(*cluster, i));
  return cluster;
}

void start_cluster(Cluster& cluster, Dim id) {
  const Launch& launch = *cluster.launch;
  const Dim& size = launch.cluster;
  cluster.id = id;
  cluster.barrier = {};
  cluster.loads.clear();
  if (launch.options.checks.races && !cluster.blocks.front()->shared.empty()) {
    if (cluster.races == nullptr) cluster.races = make_races(cluster);
    cluster.races->meet_all();
  }
  for (auto& block : cluster.blocks) {
    const std::uint32_t r = block->rank;
    start_block(*block,
                {id.x * size.x + r % size.x, id.y * size.y + r / size.x % size.y, id.z * size.z + r / size.x / size.y});
  }
}

Step run_cluster(Cluster& cluster) {
  Launch& launch = *cluster.launch;
  const std::vector<Warp*> warps = warps_of(cluster);
  const std::size_t count = warps.size();
  const Order order = launch.options.order;
  const std::uint64_t begin = launch.steps;
  auto stop = [&](const std::string& what) {
    const Warp& waiting = **std::find_if(warps.begin(), warps.end(), [](Warp* w) { return !w->groups.empty(); });
    fault(waiting, launch.program->ops[waiting.groups.front().pc], -1, what);
  };
  while (true) {
    bool alive = false;
    bool progress = false;
    bool yields = false;
    const std::size_t start = order == Order::kRandom ? launch.random() % count : 0;
    for (std::size_t i = 0; i < count; ++i) {
      Warp& warp = *warps[order == Order::kReverse ? count - 1 - i : (start + i) % count];
      if (warp.groups.empty()) continue;
      const std::uint64_t before = launch.steps;
      const std::uint64_t turn = order == Order::kRandom ? 1 + launch.random() % kRandomTurn : kTurn;
      const Step step = run_warp(warp, turn);
      progress = progress || launch.steps != before;
      yields = yields || step == Step::kYields;
      alive = alive || step != Step::kDone;
    }
    if (!alive) break;
    if (!progress && !yields) stop(fmt::format("deadlock: {}", who_waits(cluster)));
    if (launch.steps > launch.options.max_warp_instructions) {
      stop(fmt::format("more than {} warp instructions: does the kernel spin for ever?",
                       launch.options.max_warp_instructions));
    }
    // Short random turns are no sign of spinning; many of them without an end are.
    const bool slept = std::any_of(cluster.blocks.begin(), cluster.blocks.end(), [](auto& b) { return b->slept; });
    if (yields && (order != Order::kRandom || slept || launch.steps - begin > kRandomPatience)) {
      for (auto& block : cluster.blocks) block->slept = false;
      return Step::kYields;
    }
  }
  if (launch.program->async_proxy) {
    check_bulk_done(cluster);
    for (const auto& block : cluster.blocks) check_warpgroups(*block);
  }
  return Step::kDone;
}

}  // namespace ptx
