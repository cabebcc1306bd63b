#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/constants.hpp>
#include <traincost/cost/space.hpp>

namespace traincost::cost {

/// A layout of a space, priced.
struct PricedLayout {
  std::uint64_t index = 0;
  double gpus = 0;
  double step_seconds = 0, memory_bytes = 0, busy_fraction = 0;
  bool fits = false;  // into the chip's memory
};

/// Prices a space item by item from the same parts as `step`, each computed once for all layouts that share it: blocks
/// for the item, the block table per recompute, the pipeline's plan per stages and order, its times for eight block
/// tables at once, the update per sharding. `job.layout` is not used. One thread each.
class ItemPricer {
 public:
  /// `prunes`: pipelines of which no layout fits into the memory are not priced.
  ItemPricer(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency,
             const Constants& constants, bool prunes);
  ~ItemPricer();
  ItemPricer(const ItemPricer&) = delete;
  ItemPricer& operator=(const ItemPricer&) = delete;

  /// Calls `visit` for every possible layout of the item; returns how many were pruned instead.
  std::uint64_t price(std::uint64_t item, const std::function<void(const PricedLayout&)>& visit);

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace traincost::cost
