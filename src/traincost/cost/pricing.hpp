#pragma once

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/constants.hpp>
#include <traincost/cost/job.hpp>

namespace traincost::cost {

/// What every part of a step is priced from; none of it is owned.
struct Pricing {
  const Job& job;
  const calibrate::ChipEfficiency& efficiency;
  const Constants& constants;
};

}  // namespace traincost::cost
