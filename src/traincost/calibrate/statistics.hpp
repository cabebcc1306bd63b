#pragma once

#include <vector>

namespace traincost::calibrate {

/// Linear between order statistics; 0 for an empty list.
double quantile(std::vector<double> values, double share);

/// Half the distance between the 16 % and 84 % quantiles: the standard deviation of a normal sample, blind to outliers.
double robust_sigma(const std::vector<double>& values);

}  // namespace traincost::calibrate
