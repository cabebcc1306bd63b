#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

// Shared-memory races of one block, by happens-before: an access is a race when an earlier conflicting one by another
// thread is not ordered before it by barriers (and __syncwarp). Shuffles and votes order nothing (PTX ISA 9.7.9).
namespace ptx {

using Clock = std::vector<std::uint32_t>;  // [thread]; empty: all zero

/// What the threads that came to a barrier have seen.
struct BarrierClock {
  Clock clock;
  const Clock* last = nullptr;  // joined most recently: threads of a warp mostly share one
};

enum class Access : std::uint8_t { kRead, kWrite, kStrongRead, kStrongWrite };

class Races {
 public:
  Races(std::uint32_t threads, std::size_t shared_bytes);

  struct Conflict {
    std::uint32_t thread = 0;
    const void* op = nullptr;  // the earlier access
    Access access = Access::kRead;
  };
  /// True: a race; `earlier` says with what.
  bool access(std::uint32_t thread, std::uint32_t address, std::uint32_t bytes, Access access, const void* op,
              Conflict& earlier);

  /// __syncwarp: all of these threads are ordered.
  void meet(std::span<const std::uint32_t> threads);
  /// bar.arrive and the arriving half of bar.sync.
  void arrive(std::uint32_t thread, BarrierClock& barrier);
  /// The leaving half of bar.sync.
  void leave(std::uint32_t thread, const std::shared_ptr<const Clock>& barrier);
  /// A barrier of the whole block: everything before it is ordered before everything after it.
  void meet_all();

 private:
  // The threads that accessed a cell since its last ordered write: one of them, or an array of epochs in a pool.
  struct Set {
    std::uint32_t epoch = 0;
    std::uint16_t thread = 0;
    bool many = false;
    std::uint32_t pool = 0;
  };
  struct Cell {
    std::uint32_t generation = 0;
    std::uint32_t write_epoch = 0;
    std::uint16_t writer = 0;
    bool split = false;  // a word whose bytes differ
    Set reads{};
    Set strong_reads{};   // volatile, relaxed
    Set strong_writes{};  // and atomics: no race with one another
    const void* write_op = nullptr;
    const void* read_op = nullptr;
    const void* strong_op = nullptr;
  };

  bool check(Cell& cell, std::uint32_t thread, Access access, const void* op, Conflict& earlier);
  [[nodiscard]] bool ordered(std::uint32_t before, std::uint32_t epoch, std::uint32_t thread) const;
  [[nodiscard]] int unordered(const Set& set, std::uint32_t thread) const;  // a thread, or -1
  void add(Set& set, std::uint32_t thread);
  void fresh(Cell& cell) const;

  std::uint32_t threads_;
  std::uint32_t generation_ = 1;
  std::vector<std::uint32_t> epoch_;
  std::vector<std::shared_ptr<const Clock>> base_;
  std::vector<Cell> words_;
  std::vector<Cell> bytes_;
  std::vector<Clock> pool_;
  std::uint32_t pool_used_ = 0;
};

}  // namespace ptx
