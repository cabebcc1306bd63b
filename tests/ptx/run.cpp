#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "block.hpp"

// The grid: which block runs when. One block runs to its end before the next starts, unless it spins for something that
// another block must do (look-back, a grid barrier): then the next one starts beside it.
namespace ptx {
namespace {

/// The i-th block in the order of the schedule.
class BlockOrder {
 public:
  explicit BlockOrder(Launch& launch) : count_(launch.grid.count()), order_(launch.options.order) {
    if (order_ != Order::kRandom || count_ < 2) return;
    start_ = launch.random() % count_;
    do step_ = 1 + launch.random() % count_;
    while (std::gcd(step_, count_) != 1);
  }
  [[nodiscard]] std::uint64_t at(std::uint64_t i) const {
    if (order_ == Order::kReverse) return count_ - 1 - i;
    if (order_ == Order::kRandom) return (start_ + static_cast<std::uint64_t>(u128{i} * step_ % count_)) % count_;
    return i;
  }

 private:
  std::uint64_t count_;
  Order order_;
  std::uint64_t start_ = 0;
  std::uint64_t step_ = 1;
};

Dim block_id(const Dim& grid, std::uint64_t linear) {
  return {static_cast<std::uint32_t>(linear % grid.x), static_cast<std::uint32_t>(linear / grid.x % grid.y),
          static_cast<std::uint32_t>(linear / grid.x / grid.y)};
}

}  // namespace

void run(Launch& launch) {
  const std::uint64_t count = launch.grid.count();
  launch.random.seed(launch.options.seed);
  const BlockOrder order(launch);
  std::deque<std::unique_ptr<Block>> resident;
  std::vector<std::unique_ptr<Block>> spare;
  std::uint64_t started = 0;
  while (started < count || !resident.empty()) {
    if (started < count) {
      if (spare.empty()) {
        spare.push_back(make_block(launch));
      }
      start_block(*spare.back(), block_id(launch.grid, order.at(started++)));
      resident.push_front(std::move(spare.back()));
      spare.pop_back();
    }
    // The newest first; when it waits for others, each of them gets a turn.
    for (std::size_t i = 0; i < resident.size();) {
      if (run_block(*resident[i]) == Step::kDone) {
        spare.push_back(std::move(resident[i]));
        resident.erase(resident.begin() + static_cast<std::ptrdiff_t>(i));
        ++launch.counters->blocks;
      } else {
        ++i;
      }
    }
  }
}

}  // namespace ptx
