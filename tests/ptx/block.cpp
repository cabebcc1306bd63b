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

}  // namespace

std::unique_ptr<Block> make_block(Launch& launch) {
  auto block = std::make_unique<Block>();
  block->launch = &launch;
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
  block.slept = false;
  if (block.launch->options.checks.races && !block.shared.empty()) {
    if (block.races == nullptr) {
      block.races =
          std::make_unique<Races>(static_cast<std::uint32_t>(block.warps.size() * kLanes), block.shared.size());
    }
    block.races->meet_all();
  }
  for (auto& warp : block.warps) start_warp(*warp);
}

Step run_block(Block& block) {
  Launch& launch = *block.launch;
  const std::size_t count = block.warps.size();
  const Order order = launch.options.order;
  bool alive = true;
  const std::uint64_t begin = launch.steps;
  while (alive) {
    alive = false;
    bool progress = false;
    bool yields = false;
    const std::size_t start = order == Order::kRandom ? launch.random() % count : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t index = order == Order::kReverse ? count - 1 - i : (start + i) % count;
      Warp& warp = *block.warps[index];
      if (warp.groups.empty()) continue;
      const std::uint64_t before = launch.steps;
      const std::uint64_t turn = order == Order::kRandom ? 1 + launch.random() % kRandomTurn : kTurn;
      const Step step = run_warp(warp, turn);
      progress = progress || launch.steps != before;
      yields = yields || step == Step::kYields;
      alive = alive || step != Step::kDone;
    }
    if (!alive) return Step::kDone;
    if (!progress && !yields) {
      const Warp& waiting =
          **std::find_if(block.warps.begin(), block.warps.end(), [](auto& w) { return !w->groups.empty(); });
      const Op& op = launch.program->ops[waiting.groups.front().pc];
      fault(waiting, op, -1, fmt::format("deadlock: {}", who_waits(block)));
    }
    if (launch.steps > launch.options.max_warp_instructions) {
      const Warp& waiting =
          **std::find_if(block.warps.begin(), block.warps.end(), [](auto& w) { return !w->groups.empty(); });
      fault(waiting, launch.program->ops[waiting.groups.front().pc], -1,
            fmt::format("more than {} warp instructions: does the kernel spin for ever?",
                        launch.options.max_warp_instructions));
    }
    // Short random turns are no sign of spinning; many of them without an end are.
    if (yields && (order != Order::kRandom || block.slept || launch.steps - begin > kRandomPatience)) {
      block.slept = false;
      return Step::kYields;
    }
  }
  return Step::kDone;
}

}  // namespace ptx
