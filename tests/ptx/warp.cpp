#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "block.hpp"

// Steps a warp: lanes that branched apart are groups with a place each; groups that meet merge.
namespace ptx {
namespace {

void merge(std::vector<Group>& groups) {
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (std::size_t j = groups.size(); j-- > i + 1;) {
      const auto waits = [](const Group& g) { return g.state == Group::State::kBarrier; };
      if (groups[i].pc != groups[j].pc || waits(groups[i]) || waits(groups[j])) continue;
      groups[i].lanes |= groups[j].lanes;
      groups[i].state = Group::State::kReady;
      groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }
}

/// Forward: the group that lies furthest back, so that lanes meet again where their paths join. The other schedules are
/// as legal: lanes of a warp need not move together (PTX ISA 3.1, independent thread scheduling).
Group* pick(Warp& warp) {
  Launch& launch = *warp.block->launch;
  Group* best = nullptr;
  const bool last = launch.options.order == Order::kReverse ||
                    (launch.options.order == Order::kRandom && (launch.random() & 1U) != 0);
  for (Group& group : warp.groups) {
    if (group.state != Group::State::kReady) continue;
    // A group that spins for another one of its warp must not run for ever: after a turn, the next in the list.
    if (std::exchange(warp.turn_over, false)) return &group;
    if (best == nullptr || (last ? group.pc > best->pc : group.pc < best->pc)) best = &group;
  }
  return best;
}

Mask member_mask(Warp& warp, const Op& op, int lane) {
  return (op.member < 0 ? kAll : lanes<Mask>(warp, op.arg[op.member])[lane]) & warp.exists;
}

/// Whether all lanes that an instruction needs are here; faults when they never can be.
bool all_here(Warp& warp, const Op& op, Mask lanes_here, Mask needed) {
  if ((lanes_here & ~needed) != 0) {
    fault(warp, op, std::countr_zero(lanes_here & ~needed),
          fmt::format("divergence: executes this with a member mask {:#010x} that does not name it", needed));
  }
  if ((needed & warp.exited) != 0) {
    fault(warp, op, std::countr_zero(lanes_here),
          fmt::format("divergence: needs lanes {:#010x}, of which {:#010x} have exited at {}", needed,
                      needed & warp.exited, place(*warp.block->launch->program, *warp.last_exit)));
  }
  return lanes_here == needed;
}

/// Runs a warp instruction for those lanes whose partners are all here, and returns them. Lanes may name different
/// masks: each such set of lanes (a tile of cooperative groups) meets by itself.
Mask run_met(Warp& warp, const Op& op, Mask lanes_here) {
  Mask done = 0;
  for (Mask rest = lanes_here; rest != 0;) {
    const Mask needed = member_mask(warp, op, std::countr_zero(rest));
    Mask same = 0;
    each(rest, [&](int lane) { same |= member_mask(warp, op, lane) == needed ? Mask{1} << lane : 0; });
    rest &= ~same;
    if (!all_here(warp, op, same, needed)) continue;
    op.run(warp, op, same);
    done |= same;
  }
  return done;
}

Mask needed_at_barrier(const Warp& warp, const Op& op, Mask lanes_here) {
  if (op.size == 0) return lanes_here;  // not .aligned: every thread for itself
  return warp.block->launch->options.checks.exited_at_barrier ? warp.exists : warp.exists & ~warp.exited;
}

void split(Warp& warp, Group rest) { warp.groups.push_back(rest); }

/// Runs one group until it branches apart, waits, exits, meets another or has used its turn.
Step advance(Warp& warp, std::size_t index, std::uint64_t& turn) {
  Launch& launch = *warp.block->launch;
  const Op* ops = launch.program->ops.data();
  auto& counts = launch.counters->warp_instructions;
  Group group = warp.groups[index];
  // The nearest place ahead where another group stands.
  std::uint32_t stop = ~0U;
  for (std::size_t i = 0; i < warp.groups.size(); ++i) {
    if (i != index && warp.groups[i].pc > group.pc) stop = std::min(stop, warp.groups[i].pc);
  }
  const std::uint32_t start = group.pc;
  std::uint64_t left = turn;
  auto save = [&] {
    launch.steps += turn - left;
    turn = left;
    warp.groups[index] = group;
  };
  while (true) {
    if (left == 0 || group.pc == stop || (group.pc < start && warp.groups.size() > 1 && left != turn)) {
      save();
      return Step::kYields;
    }
    const Op& op = ops[group.pc];
    Mask mask = group.lanes;
    if (op.guarded) mask &= predicate(warp, op.guard);
    --left;
    if (mask == 0) {
      ++group.pc;
      continue;
    }
    if (warp.products.busy()) check_locked(warp, op);
    switch (op.flow) {
      case Flow::kStraight:
        ++counts[static_cast<std::size_t>(op.kind)];
        op.run(warp, op, mask);
        ++group.pc;
        continue;
      case Flow::kBranch:
        ++counts[static_cast<std::size_t>(op.kind)];
        if (mask == group.lanes) {
          group.pc = op.target;
          continue;
        }
        split(warp, {.pc = op.target, .lanes = mask});
        group.lanes &= ~mask;
        ++group.pc;
        save();
        return Step::kYields;
      case Flow::kIndexedBranch: {
        ++counts[static_cast<std::size_t>(op.kind)];
        const auto& targets = launch.program->branch_tables[op.target];
        const std::uint32_t choice = lanes<std::uint32_t>(warp, op.arg[0])[std::countr_zero(mask)];
        if (choice >= targets.size()) fault(warp, op, std::countr_zero(mask), "branch index out of range");
        Mask same = 0;
        each(mask,
             [&](int lane) { same |= lanes<std::uint32_t>(warp, op.arg[0])[lane] == choice ? Mask{1} << lane : 0; });
        if (same == group.lanes) {
          group.pc = targets[choice];
          continue;
        }
        split(warp, {.pc = targets[choice], .lanes = same});
        group.lanes &= ~same;
        save();
        return Step::kYields;
      }
      case Flow::kExit:
        ++counts[static_cast<std::size_t>(op.kind)];
        warp.exited |= mask;
        warp.last_exit = &op;
        group.lanes &= ~mask;
        ++group.pc;
        if (group.lanes != 0) continue;
        save();
        warp.groups.erase(warp.groups.begin() + static_cast<std::ptrdiff_t>(index));
        exited(warp);
        return Step::kYields;
      case Flow::kYield:
        warp.block->slept = true;
        ++group.pc;
        left = 0;
        continue;
      case Flow::kWarpSync:
      case Flow::kBarrier:
      case Flow::kPhase:
        break;
    }
    // Warp instructions and barriers: lanes that the guard leaves out go on by themselves.
    if (mask != group.lanes) {
      split(warp, {.pc = group.pc + 1, .lanes = group.lanes & ~mask});
      group.lanes = mask;
      save();
      return Step::kYields;
    }
    if (op.flow == Flow::kPhase) {
      if (!phase_over(warp, op, mask)) {
        ++left;  // nothing happened
        group.state = Group::State::kPhase;
        save();
        return Step::kWaits;
      }
      ++counts[static_cast<std::size_t>(op.kind)];
      op.run(warp, op, mask);
      ++group.pc;
      continue;
    }
    if (op.flow == Flow::kWarpSync) {
      const Mask done = run_met(warp, op, mask);
      if (done != 0) ++counts[static_cast<std::size_t>(op.kind)];
      if (done == mask) {
        ++group.pc;
        continue;
      }
      if (done != 0) split(warp, {.pc = group.pc + 1, .lanes = done});
      group.lanes &= ~done;
      group.state = Group::State::kMeeting;
      save();
      return Step::kYields;
    }
    if (!all_here(warp, op, mask, needed_at_barrier(warp, op, mask))) {
      group.state = Group::State::kMeeting;
      save();
      return Step::kYields;
    }
    ++counts[static_cast<std::size_t>(op.kind)];
    group.state = Group::State::kBarrier;
    save();
    if (!arrive(warp, op, mask)) return Step::kWaits;
    group = warp.groups[index];
  }
}

/// Groups whose phase may be over try again.
void wake(Warp& warp) {
  const Op* ops = warp.block->launch->program->ops.data();
  for (Group& group : warp.groups) {
    if (group.state == Group::State::kPhase && phase_over(warp, ops[group.pc], group.lanes)) {
      group.state = Group::State::kReady;
    }
  }
}

}  // namespace

Step run_warp(Warp& warp, std::uint64_t turn) {
  wake(warp);
  while (true) {
    if (warp.groups.size() > 1) merge(warp.groups);
    if (warp.groups.empty()) return Step::kDone;
    const Group* group = pick(warp);
    if (group == nullptr) {
      const auto at_barrier = [](const Group& g) {
        return g.state == Group::State::kBarrier || g.state == Group::State::kPhase;
      };
      if (std::any_of(warp.groups.begin(), warp.groups.end(), at_barrier)) return Step::kWaits;
      const Group& first = warp.groups.front();
      fault(warp, warp.block->launch->program->ops[first.pc], std::countr_zero(first.lanes),
            fmt::format("divergence: lanes of a warp wait for one another in different instructions: {}",
                        who_waits(warp)));
    }
    if (turn == 0) {
      if (warp.groups.size() > 1) {
        std::rotate(warp.groups.begin(), warp.groups.begin() + 1, warp.groups.end());
        warp.turn_over = true;
      }
      return Step::kYields;
    }
    advance(warp, static_cast<std::size_t>(group - warp.groups.data()), turn);
  }
}

}  // namespace ptx
