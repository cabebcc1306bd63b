#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

// Races in the shared memory of a cluster of blocks, by happens-before: an access is a race when an earlier conflicting
// one by another thread is not ordered before it by barriers (and __syncwarp). Shuffles and votes order nothing (PTX
// ISA 9.7.9).
//
// Asynchronous work (bulk copies, wgmma) counts as agents with epochs of their own, which a thread learns only from
// what completes it: an mbarrier, a wait. It goes through the async proxy, which sees a thread's ordinary write only
// after that thread's fence.proxy.async: the second half of a clock says up to where each thread has fenced.
namespace ptx {

using Clock = std::vector<std::uint32_t>;  // [thread or agent], then [thread] fenced; empty: all zero

/// What the threads that came to a barrier have seen.
struct BarrierClock {
  Clock clock;
  std::shared_ptr<const Clock> last{};  // joined most recently: threads of a warp mostly share one
};

enum class Access : std::uint8_t { kRead, kWrite, kStrongRead, kStrongWrite };

class Races {
 public:
  /// `readers` and `writers`: agents that read and write asynchronously; 0: the program has no such work.
  Races(std::uint32_t threads, std::uint32_t readers, std::uint32_t writers, std::size_t shared_bytes);

  struct Conflict {
    std::uint32_t thread = 0;  // an agent when it is not below threads()
    const void* op = nullptr;  // the earlier access; nullptr: not kept
    Access access = Access::kRead;
    bool unfenced = false;  // ordered, but not visible to the async proxy
  };
  [[nodiscard]] std::uint32_t threads() const { return threads_; }
  [[nodiscard]] std::uint32_t reader(std::uint32_t number) const { return threads_ + number; }
  [[nodiscard]] std::uint32_t writer(std::uint32_t number) const { return threads_ + readers_ + number % writers_; }
  [[nodiscard]] std::uint32_t epoch(std::uint32_t agent) const { return epoch_[agent]; }
  /// True: a race; `earlier` says with what.
  bool access(std::uint32_t thread, std::uint32_t address, std::uint32_t bytes, Access access, const void* op,
              Conflict& earlier);

  /// The same for an agent, as the thread that starts it knows the past.
  bool async_read(std::uint32_t thread, std::uint32_t agent, std::uint32_t address, std::uint32_t bytes,
                  Conflict& earlier);
  bool async_write(std::uint32_t thread, std::uint32_t agent, std::uint32_t address, std::uint32_t bytes,
                   const void* op, Conflict& earlier);
  /// What the agent does from now on belongs to its next epoch.
  void advance(std::uint32_t agent) { ++epoch_[agent]; }
  /// What the agent did up to `epoch` is ordered before what comes after this.
  void learn(std::uint32_t thread, std::uint32_t agent, std::uint32_t epoch);
  void arrive(std::uint32_t agent, std::uint32_t epoch, BarrierClock& barrier) const;
  void fence(std::uint32_t thread);
  /// Joins what a barrier has seen, without having arrived at it.
  void acquire(std::uint32_t thread, const std::shared_ptr<const Clock>& barrier);

  /// __syncwarp: all of these threads are ordered.
  void meet(std::span<const std::uint32_t> threads);
  /// bar.arrive and the arriving half of bar.sync.
  void arrive(std::uint32_t thread, BarrierClock& barrier);
  /// The leaving half of bar.sync.
  void leave(std::uint32_t thread, const std::shared_ptr<const Clock>& barrier);
  /// A barrier of all threads: everything before it is ordered before everything after it. Forgets the past, so
  /// not while asynchronous work may be under way.
  void meet_all();
  [[nodiscard]] bool keeps_past() const { return writers_ != 0; }

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
  [[nodiscard]] bool fenced(std::uint32_t before, std::uint32_t epoch, std::uint32_t thread) const;
  bool check_readers(std::uint32_t thread, std::uint32_t address, std::uint32_t bytes, Conflict& earlier);
  bool check_fence(const Cell& cell, std::uint32_t thread, Conflict& earlier) const;
  /// base_[thread] with a change; the lanes of a warp mostly make the same one and then share it.
  template <class Change>
  void rebase(std::uint32_t thread, const std::shared_ptr<const void>& cause, std::uint32_t epoch, Change change);
  void drop(Set& set);
  std::uint32_t take_pool();
  [[nodiscard]] bool ordered(std::uint32_t before, std::uint32_t epoch, std::uint32_t thread) const;
  [[nodiscard]] int unordered(const Set& set, std::uint32_t thread) const;  // a thread, or -1
  void add(Set& set, std::uint32_t thread);
  void fresh(Cell& cell) const;

  std::uint32_t threads_;
  std::uint32_t readers_;
  std::uint32_t writers_;
  std::uint32_t agents_ = threads_ + readers_ + writers_;  // threads among them
  std::uint32_t generation_ = 1;
  std::vector<std::uint32_t> epoch_;
  std::vector<std::shared_ptr<const Clock>> base_;
  std::vector<Cell> words_;
  std::vector<Cell> bytes_;
  std::vector<Clock> pool_;
  std::uint32_t pool_used_ = 0;
  std::vector<std::uint32_t> pool_free_;
  std::vector<std::uint32_t> chunk_reads_;  // [16-byte chunk][reader]: epoch of its last read
  struct Rebased {
    std::shared_ptr<const Clock> from;
    std::shared_ptr<const void> cause;
    std::uint32_t epoch = 0;
    std::shared_ptr<const Clock> to;
  } rebased_;
};

}  // namespace ptx
