#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace traincost::scenario {

/// How sure we are of a number: stated by a source, measured, worked out from stated ones, or our own guess.
enum class Basis { fact, measured, estimated, assumed };
std::string_view to_string(Basis basis);

/// Between its quantiles a factor is normal in its own scale: halves of two normals that meet at the median. `log` for
/// amounts and rates, `logit` for shares between 0 and 1, `linear` for what may pass zero.
enum class Scale { log, linear, logit };
std::string_view to_string(Scale scale);

/// One uncertain number by its 5 %, 50 % and 95 % quantiles; all equal: a constant.
struct Factor {
  std::string name, unit;
  double p5 = 0, p50 = 0, p95 = 0;
  Scale scale = Scale::log;
  Basis basis = Basis::assumed;
  std::string source;
};

/// The factor prepared for many draws: value(z) hits p5, p50, p95 at z = -1.645, 0, 1.645 and grows with z.
struct Spread {
  double middle = 0, down = 0, up = 0;  // in the scale
  Scale scale = Scale::log;
};
Spread spread(const Factor& factor);  // throws InputError if the quantiles are out of order or out of the scale
double value(const Spread& spread, double z);

/// Rows of a lower triangular L with L L^T = correlation; throws InputError if it is not positive definite.
std::vector<std::vector<double>> cholesky(const std::vector<std::vector<double>>& correlation);

}  // namespace traincost::scenario
