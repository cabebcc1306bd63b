#include <traincost/cost/constants.hpp>

namespace traincost::cost {

const std::vector<ConstantField>& constant_fields() {
  static const std::vector<ConstantField> kFields{
      {"compute_slowdown", &Constants::compute_slowdown, 1.0, 1.5},
      {"throttle", &Constants::throttle, 0.0, 0.5},
      {"throttle_fp8", &Constants::throttle_fp8, 0.0, 0.5},
      {"materialised_passes", &Constants::materialised_passes, 0.7, 4.0},
      {"yearly_gain", &Constants::yearly_gain, 0.0, 0.15},
      {"eager_passes", &Constants::eager_passes, 1.0, 5.0},
      {"compiled_passes", &Constants::compiled_passes, 0.8, 4.0},
      {"host_seconds", &Constants::host_seconds, 1e-6, 2e-4},
      {"host_yearly_gain", &Constants::host_yearly_gain, 0.0, 0.6},
      {"network_efficiency", &Constants::network_efficiency, 0.3, 1.0},
      {"tensor_exposed", &Constants::tensor_exposed, 0.0, 1.0},
      {"data_exposed", &Constants::data_exposed, 0.0, 1.0},
      {"expert_exposed", &Constants::expert_exposed, 0.0, 1.0},
      {"dropless_imbalance", &Constants::dropless_imbalance, 1.0, 1.6},
      {"spread_per_doubling", &Constants::spread_per_doubling, 0.0, 0.05},
  };
  return kFields;
}

}  // namespace traincost::cost
