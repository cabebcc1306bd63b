#include <traincost/calibrate/statistics.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::calibrate {

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - std::floor(at)) * (values[above] - values[below]);
}

double robust_sigma(const std::vector<double>& values) { return (quantile(values, 0.84) - quantile(values, 0.16)) / 2; }

}  // namespace traincost::calibrate
