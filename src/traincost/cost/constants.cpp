#include <traincost/cost/constants.hpp>

namespace traincost::cost {

const std::vector<ConstantField>& constant_fields() {
  static const std::vector<ConstantField> kFields{
      {"compute_slowdown", &Constants::compute_slowdown, 1.0, 1.5},
      {"yearly_gain", &Constants::yearly_gain, 0.0, 0.15},
      {"wgrad_fp8_slowdown", &Constants::wgrad_fp8_slowdown, 1.0, 2.5},
      {"eager_passes", &Constants::eager_passes, 1.0, 5.0},
      {"compiled_passes", &Constants::compiled_passes, 0.8, 4.0},
      {"host_seconds", &Constants::host_seconds, 1e-6, 2e-4},
      {"network_efficiency", &Constants::network_efficiency, 0.3, 1.0},
      {"tensor_exposed", &Constants::tensor_exposed, 0.0, 1.0},
      {"data_exposed", &Constants::data_exposed, 0.0, 1.0},
      {"expert_exposed", &Constants::expert_exposed, 0.0, 1.0},
      {"old_attention", &Constants::old_attention, 1.0, 2.5},
      {"dropless_imbalance", &Constants::dropless_imbalance, 1.0, 1.6},
      {"spread_per_doubling", &Constants::spread_per_doubling, 0.0, 0.05},
  };
  return kFields;
}

}  // namespace traincost::cost
