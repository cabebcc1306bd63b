#pragma once

#include <vector>

namespace traincost::bench {

/// Linear between order statistics; 0 for an empty list.
double quantile(std::vector<double> values, double share);

/// Standard deviation of the samples / their mean; infinite below two samples.
double relative_deviation(const std::vector<double>& values);

}  // namespace traincost::bench
