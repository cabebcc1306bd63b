#include <traincost/cost/goodput.hpp>

namespace traincost::cost {

double goodput(double gpus) {
  constexpr double kGpus = 16384, kHours = 54 * 24, kFailures = 419, kEffective = 0.9;
  constexpr double kGpuHoursPerFailure = kGpus * kHours * kEffective / kFailures;
  constexpr double kHoursPerFailure = kHours * (1 - kEffective) / kFailures;
  return 1 / (1 + gpus * kHoursPerFailure / kGpuHoursPerFailure);
}

}  // namespace traincost::cost
