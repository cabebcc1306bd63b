#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/cost/step.hpp>

namespace traincost::cost {

/// One line of an explained step.
struct ExplainedPart {
  std::string name;  // "experts: gemm fp8_block"
  Category category = Category::compute;
  units::Seconds seconds;
  std::optional<units::Seconds> floor;  // at the chip's data-sheet rates; none: nothing need be waited for
  calibrate::Origin origin = calibrate::Origin::measured;
  std::string source;  // the timings behind it, or the constant
};

/// The parts of `step`, compute told apart by operation. They sum to the step.
std::vector<ExplainedPart> explain(const Job& job, const StepCost& step, const calibrate::ChipEfficiency& efficiency,
                                   const Constants& constants = default_constants());

}  // namespace traincost::cost
