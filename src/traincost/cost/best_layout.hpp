#pragma once

#include <optional>

#include <traincost/cost/step.hpp>

namespace traincost::cost {

/// Which factors of a layout are free; the rest stays as given.
struct FreeFactors {
  bool parallelism = true;  // tensor, pipeline, expert, context
  bool micro_batch = true;
  bool interleave = true;
  bool recompute = true;
};

/// The fastest layout that fits the chip's memory among powers of two (and divisors of the layers) for the free
/// factors, starting from `job.layout`; nullopt if none fits.
std::optional<Layout> best_layout(const Job& job, const calibrate::ChipEfficiency& efficiency, const FreeFactors& free,
                                  const Constants& constants = default_constants());

}  // namespace traincost::cost
