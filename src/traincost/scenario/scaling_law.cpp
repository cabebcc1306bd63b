#include <traincost/scenario/scaling_law.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::scenario {
namespace {
constexpr double kFlopPerParamAndToken = 6;  // forward 2, backward 4 (Kaplan et al. 2020)
}

const std::vector<ScalingLaw>& scaling_laws() {
  static const std::vector<ScalingLaw> laws{
      {"besiroglu", 1.8172, 482.01, 2085.43, 0.3478, 0.3658, "Besiroglu et al. 2024, refit of Chinchilla's data"},
      {"hoffmann", 1.69, 406.4, 410.7, 0.34, 0.28, "Hoffmann et al. 2022, approach 3, rounded as printed"},
  };
  return laws;
}

const ScalingLaw* find_scaling_law(std::string_view id) {
  const auto found = std::ranges::find(scaling_laws(), id, &ScalingLaw::id);
  return found == scaling_laws().end() ? nullptr : &*found;
}

double loss(const ScalingLaw& law, double params, double tokens) {
  return law.e + law.a / std::pow(params, law.alpha) + law.b / std::pow(tokens, law.beta);
}

// Hoffmann et al., equation 4, with A divided by gain^alpha, where gain x active are the parameters that count.
OptimalRun optimal_run(const ScalingLaw& law, double flop, const Shape& shape) {
  const double gain = std::pow(shape.total_over_active, shape.moe_exponent);
  const double a = law.a / std::pow(gain, law.alpha);
  const double budget = flop / kFlopPerParamAndToken;
  const double g = std::pow(law.alpha * a / (law.beta * law.b), 1 / (law.alpha + law.beta));
  const double optimal_tokens = std::pow(budget, law.alpha / (law.alpha + law.beta)) / g;
  OptimalRun run{.flop = flop, .tokens = optimal_tokens * shape.over_training};
  run.active_params = budget / run.tokens;
  run.total_params = run.active_params * shape.total_over_active;
  run.loss = loss(law, run.active_params * gain, run.tokens);
  return run;
}

std::optional<double> flop_for_loss(const ScalingLaw& law, double target, const Shape& shape) {
  if (target <= law.e) return std::nullopt;
  double low = 0, high = 100;  // powers of ten
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (optimal_run(law, std::pow(10, middle), shape).loss > target ? low : high) = middle;
  }
  return std::pow(10, high);
}

}  // namespace traincost::scenario
