#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "async.hpp"
#include "block.hpp"
#include "dependency.hpp"
#include "error.hpp"

// Block barriers (PTX ISA 9.7.13.1) and the texts of faults.
namespace ptx {
namespace {

std::uint32_t block_threads(const Block& block) { return static_cast<std::uint32_t>(block.warps.size()) * kLanes; }

std::uint32_t operand_value(Warp& warp, const Operand& operand, Mask mask) {
  return lanes<std::uint32_t>(warp, operand)[std::countr_zero(mask)];
}

std::uint32_t barrier_of(Warp& warp, const Op& op, Mask mask) {
  return operand_value(warp, op.arg[op.vector], mask) & 15U;
}

std::uint32_t expected_threads(Warp& warp, const Op& op, Mask mask) {
  const std::uint32_t count_at = op.vector + 1U;
  const bool reduction = op.mode >= kBarrierPopc;
  const bool counted = op.args > count_at + (reduction ? 1U : 0U);
  if (!counted) return block_threads(*warp.block);
  const std::uint32_t count = operand_value(warp, op.arg[count_at], mask);
  if (count == 0 || count % kLanes != 0) {
    fault(warp, op, std::countr_zero(mask), fmt::format("a barrier for {} threads: not a multiple of the warp", count));
  }
  return count;
}

void reduce(Warp& warp, const Op& op, Mask mask, Barrier& barrier) {
  if (op.mode < kBarrierPopc) return;
  const Mask votes = predicate(warp, op.arg[op.args - 1]) & mask;
  barrier.count += static_cast<std::uint32_t>(std::popcount(votes));
  barrier.all = barrier.all && votes == mask;
  barrier.any = barrier.any || votes != 0;
}

/// Warps that have exited count as arrived, where that is no error.
std::uint32_t gone_threads(const Block& block) {
  if (block.launch->options.checks.exited_at_barrier) return 0;
  std::uint32_t gone = 0;
  for (const auto& warp : block.warps) gone += warp->exited == warp->exists ? kLanes : 0;
  return gone;
}

void complete(Block& block, std::uint32_t number) {
  Barrier& barrier = block.barriers[number];
  const Op* ops = block.launch->program->ops.data();
  std::shared_ptr<const Clock> clock;
  Races* races = block.races();
  if (races != nullptr) {
    if (barrier.expected == block_threads(block) && !barrier.one_way && !races->keeps_past()) {
      races->meet_all();
    } else {
      clock = std::make_shared<const Clock>(std::move(barrier.clock.clock));
    }
  }
  for (auto& warp : block.warps) {
    for (Group& group : warp->groups) {
      if (group.state != Group::State::kBarrier || barrier_of(*warp, ops[group.pc], group.lanes) != number) continue;
      ops[group.pc].run(*warp, ops[group.pc], group.lanes);
      if (clock != nullptr) {
        each(group.lanes, [&](int lane) { races->leave(race_thread(*warp, lane), clock); });
      }
      take(*warp, group.lanes, barrier.resumed);
      group.state = Group::State::kReady;
      ++group.pc;
    }
  }
  barrier = {};
}

std::string ranges(const std::vector<std::uint32_t>& threads) {
  std::string out;
  for (std::size_t i = 0; i < threads.size();) {
    std::size_t end = i;
    while (end + 1 < threads.size() && threads[end + 1] == threads[end] + 1) ++end;
    out += fmt::format("{}{}", out.empty() ? "" : ",", threads[i]);
    if (end != i) out += fmt::format("-{}", threads[end]);
    i = end + 1;
  }
  return out;
}

void collect(Warp& warp, std::map<std::string, std::vector<std::uint32_t>>& places) {
  const Program& program = *warp.block->launch->program;
  auto add = [&](Mask mask, const std::string& where) {
    each(mask, [&](int lane) {
      if ((mask >> lane & 1U) != 0) places[where].push_back(warp.thread(static_cast<std::uint32_t>(lane)));
    });
  };
  for (const Group& group : warp.groups) {
    const Op& op = program.ops[group.pc];
    add(group.lanes, "at " + place(program, op) +
                         (group.state == Group::State::kPhase ? phase_state(warp, op, group.lanes) : std::string()));
  }
  if (warp.exited != 0) add(warp.exited, "exited at " + place(program, *warp.last_exit));
}

std::string list(const std::map<std::string, std::vector<std::uint32_t>>& places) {
  std::string out;
  for (const auto& [where, threads] : places)
    out += fmt::format("{}threads {} {}", out.empty() ? "" : "; ", ranges(threads), where);
  return out;
}

}  // namespace

bool arrive(Warp& warp, const Op& op, Mask mask) {
  Block& block = *warp.block;
  const std::uint32_t number = barrier_of(warp, op, mask);
  Barrier& barrier = block.barriers[number];
  const std::uint32_t expected = expected_threads(warp, op, mask);
  if (barrier.expected != 0 && barrier.expected != expected) {
    fault(warp, op, std::countr_zero(mask),
          fmt::format("barrier {}: expects {} threads here, {} elsewhere", number, expected, barrier.expected));
  }
  barrier.expected = expected;
  // With bar.arrive among them, the arrivals order in one direction only.
  barrier.one_way = barrier.one_way || op.mode == kBarrierArrive;
  // A last warp of fewer than 32 lanes counts as a whole one.
  const auto absent = static_cast<std::uint32_t>(std::popcount(~warp.exists));
  barrier.arrived +=
      static_cast<std::uint32_t>(std::popcount(mask)) + (op.size != 0 || mask == warp.exists ? absent : 0);
  if (op.size != 0) barrier.arrived += static_cast<std::uint32_t>(std::popcount(warp.exited));
  reduce(warp, op, mask, barrier);
  bring(warp, mask, barrier.resumed);
  if (Races* races = block.races()) {
    each(mask, [&](int lane) { races->arrive(race_thread(warp, lane), barrier.clock); });
  }
  if (barrier.arrived > expected) {
    fault(warp, op, std::countr_zero(mask),
          fmt::format("barrier {}: more threads arrive than the {} it expects", number, expected));
  }
  Group& group = *std::find_if(warp.groups.begin(), warp.groups.end(), [&](const Group& g) { return g.lanes == mask; });
  if (op.mode == kBarrierArrive) {
    group.state = Group::State::kReady;
    ++group.pc;
  }
  if (barrier.arrived + (expected == block_threads(block) ? gone_threads(block) : 0) == expected) {
    complete(block, number);
    return true;
  }
  return op.mode == kBarrierArrive;
}

void exited(Warp& warp) {
  Block& block = *warp.block;
  cluster_arrivals(*block.cluster);
  if (block.launch->options.checks.exited_at_barrier || warp.exited != warp.exists) return;
  for (std::uint32_t number = 0; number < block.barriers.size(); ++number) {
    Barrier& barrier = block.barriers[number];
    if (barrier.expected == 0 || barrier.expected != block_threads(block)) continue;
    if (barrier.arrived + gone_threads(block) >= barrier.expected) complete(block, number);
  }
}

std::string who_waits(const Cluster& cluster) {
  std::string out;
  for (const auto& block : cluster.blocks) {
    std::map<std::string, std::vector<std::uint32_t>> places;
    for (const auto& warp : block->warps) collect(*warp, places);
    if (cluster.blocks.size() > 1)
      out += fmt::format("{}block {} of the cluster: ", out.empty() ? "" : "; ", block->rank);
    out += list(places);
  }
  return out;
}

std::string who_waits(Warp& warp) {
  std::map<std::string, std::vector<std::uint32_t>> places;
  collect(warp, places);
  return list(places);
}

std::string place(const Program& program, const Op& op) {
  const Instruction& text = *op.text;
  auto line = [&](int file, int number) {
    const auto found = program.module->files.find(file);
    if (found == program.module->files.end()) return std::string("unknown line");
    return fmt::format("{}:{}", found->second.substr(found->second.rfind('/') + 1), number);
  };
  if (text.file == 0) return fmt::format("PTX line {} '{}'", text.ptx_line, text.opcode);
  if (text.outer_file == 0) return fmt::format("{} '{}'", line(text.file, text.line), text.opcode);
  return fmt::format("{} '{}' (inlined from {})", line(text.outer_file, text.outer_line), text.opcode,
                     line(text.file, text.line));
}

void fault(const Warp& warp, const Op& op, int lane, const std::string& what) {
  const Launch& launch = *warp.block->launch;
  const Dim& id = warp.block->id;
  std::string thread = fmt::format("warp {}", warp.index);
  if (lane >= 0) thread = fmt::format("thread {}", warp.thread(static_cast<std::uint32_t>(lane)));
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable(
      abi::__cxa_demangle(launch.program->kernel.c_str(), nullptr, nullptr, &status), &std::free);
  const std::string kernel = status == 0 ? readable.get() : launch.program->kernel;
  throw KernelFault(fmt::format("kernel {}, block ({},{},{}), {}, {} (PTX line {}): {}", kernel, id.x, id.y, id.z,
                                thread, place(*launch.program, op), op.text->ptx_line, what));
}

}  // namespace ptx
