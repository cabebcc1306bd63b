#pragma once

namespace traincost::cost {

/// 5 %, 50 % and 95 % quantiles, in the unit of the quantity they belong to.
struct Interval {
  double p5 = 0, p50 = 0, p95 = 0;
};

}  // namespace traincost::cost
