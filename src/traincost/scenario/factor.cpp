#include <traincost/scenario/factor.hpp>

#include <fmt/format.h>

#include <cmath>

#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

constexpr double kZ95 = 1.6448536269514722;  // normal_quantile(0.95)

double to_scale(double x, Scale scale) {
  switch (scale) {
    case Scale::log:
      return std::log(x);
    case Scale::logit:
      return std::log(x / (1 - x));
    case Scale::linear:
      return x;
  }
  return x;
}

bool fits(double x, Scale scale) {
  if (!std::isfinite(x)) return false;
  if (scale == Scale::log) return x > 0;
  if (scale == Scale::logit) return x > 0 && x < 1;
  return true;
}

}  // namespace

std::string_view to_string(Basis basis) {
  constexpr std::string_view kTexts[] = {"fact", "measured", "estimated", "assumed"};
  return kTexts[static_cast<int>(basis)];
}

std::string_view to_string(Scale scale) {
  constexpr std::string_view kTexts[] = {"log", "linear", "logit"};
  return kTexts[static_cast<int>(scale)];
}

Spread spread(const Factor& f) {
  if (f.p5 == f.p50 && f.p50 == f.p95) return {.middle = f.p50, .down = 0, .up = 0, .scale = Scale::linear};
  if (!(f.p5 <= f.p50 && f.p50 <= f.p95))
    throw InputError(fmt::format("factor {}: quantiles {}, {}, {} are out of order", f.name, f.p5, f.p50, f.p95));
  if (!fits(f.p5, f.scale) || !fits(f.p95, f.scale))
    throw InputError(
        fmt::format("factor {}: {} to {} does not fit the {} scale", f.name, f.p5, f.p95, to_string(f.scale)));
  const double middle = to_scale(f.p50, f.scale);
  return {.middle = middle,
          .down = (middle - to_scale(f.p5, f.scale)) / kZ95,
          .up = (to_scale(f.p95, f.scale) - middle) / kZ95,
          .scale = f.scale};
}

double value(const Spread& s, double z) {
  const double x = s.middle + z * (z < 0 ? s.down : s.up);
  switch (s.scale) {
    case Scale::log:
      return std::exp(x);
    case Scale::logit:
      return 1 / (1 + std::exp(-x));
    case Scale::linear:
      return x;
  }
  return x;
}

std::vector<std::vector<double>> cholesky(const std::vector<std::vector<double>>& c) {
  constexpr double kSingular = 1e-9;
  std::vector<std::vector<double>> l(c.size());
  for (std::size_t i = 0; i < c.size(); ++i) {
    l[i].assign(i + 1, 0.0);
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = c[i][j];
      for (std::size_t k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
      if (i != j) {
        l[i][j] = sum / l[j][j];
      } else if (sum < kSingular) {
        throw InputError("the correlations contradict each other (their matrix is not positive definite)");
      } else {
        l[i][i] = std::sqrt(sum);
      }
    }
  }
  return l;
}

}  // namespace traincost::scenario
