#include "race.hpp"

#include <algorithm>

namespace ptx {
namespace {

void join(Clock& into, const Clock& from) {
  if (into.empty()) {
    into = from;
    return;
  }
  for (std::size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

}  // namespace

Races::Races(std::uint32_t threads, std::size_t shared_bytes)
    : threads_(threads),
      epoch_(threads, 1),
      base_(threads),
      words_((shared_bytes + 3) / 4),
      bytes_(words_.size() * 4) {}

bool Races::ordered(std::uint32_t before, std::uint32_t epoch, std::uint32_t thread) const {
  if (epoch == 0 || before == thread) return true;
  const auto& base = base_[thread];
  return base != nullptr && (*base)[before] >= epoch;
}

int Races::unordered(const Set& set, std::uint32_t thread) const {
  if (!set.many) return ordered(set.thread, set.epoch, thread) ? -1 : set.thread;
  const Clock& epochs = pool_[set.pool];
  const Clock* base = base_[thread].get();
  for (std::uint32_t i = 0; i < threads_; ++i) {
    if (epochs[i] > (base != nullptr ? (*base)[i] : 0) && i != thread) return static_cast<int>(i);
  }
  return -1;
}

void Races::add(Set& set, std::uint32_t thread) {
  if (set.many) {
    pool_[set.pool][thread] = epoch_[thread];
  } else if (set.epoch == 0 || ordered(set.thread, set.epoch, thread)) {
    // What is ordered before this access is covered by it.
    set.epoch = epoch_[thread];
    set.thread = static_cast<std::uint16_t>(thread);
  } else {
    if (pool_used_ == pool_.size()) pool_.emplace_back();
    Clock& epochs = pool_[pool_used_];
    epochs.assign(threads_, 0);
    epochs[set.thread] = set.epoch;
    epochs[thread] = epoch_[thread];
    set.many = true;
    set.pool = pool_used_++;
  }
}

void Races::fresh(Cell& cell) const {
  if (cell.generation == generation_) return;
  cell = Cell{.generation = generation_};
}

bool Races::check(Cell& cell, std::uint32_t thread, Access access, const void* op, Conflict& earlier) {
  const bool writes = access == Access::kWrite || access == Access::kStrongWrite;
  const bool strong = access == Access::kStrongRead || access == Access::kStrongWrite;
  auto conflict = [&](const Set& set, const void* other, Access kind) {
    const int thread_before = unordered(set, thread);
    if (thread_before >= 0)
      earlier = {.thread = static_cast<std::uint32_t>(thread_before), .op = other, .access = kind};
    return thread_before >= 0;
  };
  if (!ordered(cell.writer, cell.write_epoch, thread)) {
    earlier = {.thread = cell.writer, .op = cell.write_op, .access = Access::kWrite};
    return true;
  }
  if (writes && conflict(cell.reads, cell.read_op, Access::kRead)) return true;
  if (!strong && conflict(cell.strong_writes, cell.strong_op, Access::kStrongWrite)) return true;
  if (!strong && writes && conflict(cell.strong_reads, cell.strong_op, Access::kStrongRead)) return true;

  if (strong) {
    add(writes ? cell.strong_writes : cell.strong_reads, thread);
    cell.strong_op = op;
  } else if (writes) {
    cell.writer = static_cast<std::uint16_t>(thread);
    cell.write_epoch = epoch_[thread];
    cell.write_op = op;
    cell.reads = {};
    cell.strong_reads = {};
    cell.strong_writes = {};
  } else {
    add(cell.reads, thread);
    cell.read_op = op;
  }
  return false;
}

bool Races::access(std::uint32_t thread, std::uint32_t address, std::uint32_t bytes, Access access, const void* op,
                   Conflict& earlier) {
  const std::uint32_t end = address + bytes;
  while (address < end) {
    Cell& word = words_[address / 4];
    fresh(word);
    const std::uint32_t stop = std::min(end, (address / 4 + 1) * 4);
    if (!word.split && stop - address == 4) {
      if (check(word, thread, access, op, earlier)) return true;
    } else {
      if (!word.split) {
        for (std::uint32_t i = 0; i < 4; ++i) {
          Cell& byte = bytes_[address / 4 * 4 + i];
          byte = word;
          // A pooled set belongs to one cell: each byte gets its own copy.
          for (Set* set : {&byte.reads, &byte.strong_reads, &byte.strong_writes}) {
            if (!set->many) continue;
            if (pool_used_ == pool_.size()) pool_.emplace_back();
            pool_[pool_used_] = pool_[set->pool];
            set->pool = pool_used_++;
          }
        }
        word.split = true;
      }
      for (std::uint32_t at = address; at < stop; ++at) {
        if (check(bytes_[at], thread, access, op, earlier)) return true;
      }
    }
    address = stop;
  }
  return false;
}

void Races::meet(std::span<const std::uint32_t> threads) {
  auto clock = std::make_shared<Clock>(threads_, 0);
  const Clock* last = nullptr;
  for (const std::uint32_t thread : threads) {
    const Clock* base = base_[thread].get();
    if (base != nullptr && base != last) join(*clock, *base);
    last = base;
  }
  for (const std::uint32_t thread : threads) (*clock)[thread] = std::max((*clock)[thread], epoch_[thread]);
  for (const std::uint32_t thread : threads) leave(thread, clock);
}

void Races::arrive(std::uint32_t thread, BarrierClock& barrier) {
  if (barrier.clock.empty()) barrier.clock.assign(threads_, 0);
  const Clock* base = base_[thread].get();
  if (base != nullptr && base != barrier.last) join(barrier.clock, *base);
  barrier.last = base;
  barrier.clock[thread] = std::max(barrier.clock[thread], epoch_[thread]);
  ++epoch_[thread];
}

void Races::leave(std::uint32_t thread, const std::shared_ptr<const Clock>& barrier) {
  base_[thread] = barrier;
  ++epoch_[thread];
}

void Races::meet_all() {
  ++generation_;
  pool_used_ = 0;
  std::fill(base_.begin(), base_.end(), nullptr);
}

}  // namespace ptx
