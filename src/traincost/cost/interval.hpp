#pragma once

namespace traincost::cost {

/// 5 %, 50 % and 95 % quantiles, in the unit of the quantity they belong to.
struct Interval {
  double p5 = 0, p50 = 0, p95 = 0;
};

inline constexpr double kZ95 = 1.6448536269514722;  // standard normal quantile of 0.95

/// Log-normal around the median.
Interval log_normal(double median, double log_sigma);

}  // namespace traincost::cost
