#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "block.hpp"

// The grid: which cluster of blocks (mostly one block) runs when. One runs to its end before the next starts, unless it
// spins for something that another must do (look-back, a grid barrier): then the next one starts beside it.
namespace ptx {
namespace {

/// The i-th block in the order of the schedule.
class BlockOrder {
 public:
  BlockOrder(Launch& launch, std::uint64_t count) : count_(count), order_(launch.options.order) {
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

/// Which block starts next. When very many wait already, those that come first in the grid: what all wait for is most
/// likely there (look-back), and the machine should not have to hold the whole grid.
class NextBlock {
 public:
  NextBlock(Launch& launch, std::uint64_t count) : order_(launch, count), begun_(count) {}

  [[nodiscard]] bool done() const { return started_ == begun_.size(); }
  std::uint64_t take(std::size_t resident) {
    std::uint64_t& at = resident < kManyResident ? scheduled_ : first_;
    while (begun_[resident < kManyResident ? order_.at(at) : at]) ++at;
    const std::uint64_t block = resident < kManyResident ? order_.at(at) : at;
    begun_[block] = true;
    ++started_;
    return block;
  }

 private:
  static constexpr std::size_t kManyResident = 64;

  BlockOrder order_;
  std::vector<bool> begun_;
  std::uint64_t started_ = 0;
  std::uint64_t scheduled_ = 0;  // position in the order of the schedule
  std::uint64_t first_ = 0;      // position in the grid
};

Dim position(const Dim& grid, std::uint64_t linear) {
  return {static_cast<std::uint32_t>(linear % grid.x), static_cast<std::uint32_t>(linear / grid.x % grid.y),
          static_cast<std::uint32_t>(linear / grid.x / grid.y)};
}

}  // namespace

void run(Launch& launch) {
  launch.random.seed(launch.options.seed);
  const Dim& size = launch.cluster;
  const Dim clusters{launch.grid.x / size.x, launch.grid.y / size.y, launch.grid.z / size.z};
  NextBlock next(launch, clusters.count());
  std::deque<std::unique_ptr<Cluster>> resident;
  std::vector<std::unique_ptr<Cluster>> spare;
  while (!next.done() || !resident.empty()) {
    if (!next.done()) {
      if (spare.empty()) spare.push_back(make_cluster(launch));
      start_cluster(*spare.back(), position(clusters, next.take(resident.size())));
      resident.push_front(std::move(spare.back()));
      spare.pop_back();
    }
    // The newest first; when it waits for others, each of them gets a turn.
    for (std::size_t i = 0; i < resident.size();) {
      if (run_cluster(*resident[i]) == Step::kDone) {
        launch.counters->blocks += resident[i]->blocks.size();
        spare.push_back(std::move(resident[i]));
        resident.erase(resident.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }
}

}  // namespace ptx
