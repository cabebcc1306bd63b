#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace traincost::scenario {

/// loss(N, D) = E + A / N^alpha + B / D^beta, N parameters, D tokens (Hoffmann et al. 2022, equation 2).
struct ScalingLaw {
  std::string_view id;
  double e, a, b, alpha, beta;
  std::string_view source;
};
const std::vector<ScalingLaw>& scaling_laws();
const ScalingLaw* find_scaling_law(std::string_view id);

/// How the run departs from a dense, compute-optimal one.
struct Shape {
  double total_over_active = 1;  // of a mixture of experts
  double moe_exponent = 0.5;  // parameters that count: active x ratio^exponent. 0.5, the geometric mean, is a rule of
                              // thumb, not a measurement.
  double over_training = 1;   // tokens / the compute-optimal number of tokens
};

struct OptimalRun {
  double flop = 0, active_params = 0, total_params = 0, tokens = 0, loss = 0;
};

double loss(const ScalingLaw& law, double params, double tokens);

/// The run of least loss with 6 x active parameters x tokens = `flop`, at the stated over-training.
OptimalRun optimal_run(const ScalingLaw& law, double flop, const Shape& shape = {});

/// The least FLOP of a run of that loss; nullopt if no amount reaches it.
std::optional<double> flop_for_loss(const ScalingLaw& law, double loss, const Shape& shape = {});

}  // namespace traincost::scenario
