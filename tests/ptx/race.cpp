#include "race.hpp"

#include <algorithm>

namespace ptx {
namespace {

constexpr std::uint32_t kChunk = 16;  // asynchronous work moves whole chunks

void join(Clock& into, const Clock& from) {
  if (into.empty()) {
    into = from;
    return;
  }
  for (std::size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

}  // namespace

Races::Races(std::uint32_t threads, std::uint32_t readers, std::uint32_t writers, std::size_t shared_bytes)
    : threads_(threads),
      readers_(readers),
      writers_(writers),
      epoch_(agents_, 1),
      base_(threads),
      words_((shared_bytes + 3) / 4),
      bytes_(words_.size() * 4),
      chunk_reads_((shared_bytes / kChunk + 1) * readers) {}

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
    const std::uint32_t pool = take_pool();
    Clock& epochs = pool_[pool];
    epochs.assign(threads_, 0);
    epochs[set.thread] = set.epoch;
    epochs[thread] = epoch_[thread];
    set.many = true;
    set.pool = pool;
  }
}

std::uint32_t Races::take_pool() {
  if (!pool_free_.empty()) {
    const std::uint32_t pool = pool_free_.back();
    pool_free_.pop_back();
    return pool;
  }
  if (pool_used_ == pool_.size()) pool_.emplace_back();
  return pool_used_++;
}

void Races::drop(Set& set) {
  if (set.many) pool_free_.push_back(set.pool);
  set = {};
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
    drop(cell.reads);
    drop(cell.strong_reads);
    drop(cell.strong_writes);
  } else {
    add(cell.reads, thread);
    cell.read_op = op;
  }
  return false;
}

bool Races::access(std::uint32_t thread, std::uint32_t address, std::uint32_t bytes, Access access, const void* op,
                   Conflict& earlier) {
  const std::uint32_t end = address + bytes;
  const bool writes = access == Access::kWrite || access == Access::kStrongWrite;
  if (writes && readers_ != 0 && check_readers(thread, address, bytes, earlier)) return true;
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
            const std::uint32_t pool = take_pool();
            pool_[pool] = pool_[set->pool];
            set->pool = pool;
          }
        }
        for (Set* set : {&word.reads, &word.strong_reads, &word.strong_writes}) drop(*set);
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
  auto clock = std::make_shared<Clock>(agents_ + threads_, 0);
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
  if (barrier.clock.empty()) barrier.clock.assign(agents_ + threads_, 0);
  const std::shared_ptr<const Clock>& base = base_[thread];
  if (base != nullptr && base != barrier.last) join(barrier.clock, *base);
  barrier.last = base;
  barrier.clock[thread] = std::max(barrier.clock[thread], epoch_[thread]);
  ++epoch_[thread];
}

void Races::leave(std::uint32_t thread, const std::shared_ptr<const Clock>& barrier) {
  base_[thread] = barrier;
  ++epoch_[thread];
}

bool Races::fenced(std::uint32_t before, std::uint32_t epoch, std::uint32_t thread) const {
  const auto& base = base_[thread];
  return base != nullptr && (*base)[agents_ + before] >= epoch;
}

bool Races::check_fence(const Cell& cell, std::uint32_t thread, Conflict& earlier) const {
  if (cell.write_epoch == 0 || cell.writer >= threads_ || fenced(cell.writer, cell.write_epoch, thread)) return false;
  earlier = {.thread = cell.writer, .op = cell.write_op, .access = Access::kWrite, .unfenced = true};
  return true;
}

bool Races::check_readers(std::uint32_t thread, std::uint32_t address, std::uint32_t bytes, Conflict& earlier) {
  const Clock* base = base_[thread].get();
  for (std::uint32_t chunk = address / kChunk; chunk <= (address + bytes - 1) / kChunk; ++chunk) {
    std::uint32_t* reads = &chunk_reads_[std::size_t{chunk} * readers_];
    for (std::uint32_t i = 0; i < readers_; ++i) {
      if (reads[i] > (base == nullptr ? 0 : (*base)[threads_ + i])) {
        earlier = {.thread = threads_ + i, .access = Access::kRead};
        return true;
      }
    }
    std::fill_n(reads, readers_, 0);
  }
  return false;
}

bool Races::async_read(std::uint32_t thread, std::uint32_t agent, std::uint32_t address, std::uint32_t bytes,
                       Conflict& earlier) {
  auto read = [&](const Cell& cell) {
    if (!ordered(cell.writer, cell.write_epoch, thread)) {
      earlier = {.thread = cell.writer, .op = cell.write_op, .access = Access::kWrite};
      return true;
    }
    const int strong = unordered(cell.strong_writes, thread);
    if (strong >= 0) {
      earlier = {.thread = static_cast<std::uint32_t>(strong), .op = cell.strong_op, .access = Access::kStrongWrite};
      return true;
    }
    return check_fence(cell, thread, earlier);
  };
  for (std::uint32_t word = address / 4; word < (address + bytes + 3) / 4; ++word) {
    fresh(words_[word]);
    if (!words_[word].split) {
      if (read(words_[word])) return true;
      continue;
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
      if (read(bytes_[std::size_t{word} * 4 + i])) return true;
    }
  }
  for (std::uint32_t chunk = address / kChunk; chunk <= (address + bytes - 1) / kChunk; ++chunk) {
    chunk_reads_[std::size_t{chunk} * readers_ + agent - threads_] = epoch_[agent];
  }
  return false;
}

bool Races::async_write(std::uint32_t thread, std::uint32_t agent, std::uint32_t address, std::uint32_t bytes,
                        const void* op, Conflict& earlier) {
  if (check_readers(thread, address, bytes, earlier)) return true;
  auto write = [&](Cell& cell) {
    if (check(cell, thread, Access::kWrite, op, earlier)) return true;
    cell.writer = static_cast<std::uint16_t>(agent);
    cell.write_epoch = epoch_[agent];
    return false;
  };
  for (std::uint32_t word = address / 4; word < (address + bytes + 3) / 4; ++word) {
    Cell& cell = words_[word];
    fresh(cell);
    for (std::uint32_t i = 0; cell.split && i < 4; ++i) {
      Cell& byte = bytes_[std::size_t{word} * 4 + i];
      if (check_fence(byte, thread, earlier) || write(byte)) return true;
    }
    cell.split = false;
    if (check_fence(cell, thread, earlier) || write(cell)) return true;
  }
  return false;
}

template <class Change>
void Races::rebase(std::uint32_t thread, const std::shared_ptr<const void>& cause, std::uint32_t epoch, Change change) {
  if (cause == nullptr || rebased_.to == nullptr || rebased_.from != base_[thread] || rebased_.cause != cause ||
      rebased_.epoch != epoch) {
    auto clock = base_[thread] == nullptr ? std::make_shared<Clock>(agents_ + threads_, 0)
                                          : std::make_shared<Clock>(*base_[thread]);
    change(*clock);
    rebased_ = {.from = base_[thread], .cause = cause, .epoch = epoch, .to = std::move(clock)};
  }
  base_[thread] = rebased_.to;
}

void Races::learn(std::uint32_t thread, std::uint32_t agent, std::uint32_t epoch) {
  const std::shared_ptr<const void> cause(std::shared_ptr<const void>{}, &epoch_[agent]);  // owns nothing
  rebase(thread, cause, epoch, [&](Clock& clock) { clock[agent] = std::max(clock[agent], epoch); });
}

void Races::acquire(std::uint32_t thread, const std::shared_ptr<const Clock>& barrier) {
  if (barrier == nullptr || barrier->empty()) return;
  rebase(thread, barrier, 0, [&](Clock& clock) { join(clock, *barrier); });
}

void Races::arrive(std::uint32_t agent, std::uint32_t epoch, BarrierClock& barrier) const {
  if (barrier.clock.empty()) barrier.clock.assign(agents_ + threads_, 0);
  barrier.clock[agent] = std::max(barrier.clock[agent], epoch);
}

// What this thread did and what it knows of others is visible to the async proxy from here on.
void Races::fence(std::uint32_t thread) {
  rebase(thread, nullptr, 0, [&](Clock& clock) {
    for (std::uint32_t i = 0; i < threads_; ++i) clock[agents_ + i] = std::max(clock[agents_ + i], clock[i]);
    clock[agents_ + thread] = epoch_[thread];
  });
  ++epoch_[thread];
}

void Races::meet_all() {
  ++generation_;
  pool_used_ = 0;
  pool_free_.clear();
  std::fill(chunk_reads_.begin(), chunk_reads_.end(), 0);
  std::fill(base_.begin(), base_.end(), nullptr);
}

}  // namespace ptx
