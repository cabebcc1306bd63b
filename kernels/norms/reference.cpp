#include <cmath>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/norms/norms.hpp>

namespace traincost::kernels::norms {
namespace {

std::vector<double> row(const __nv_bfloat16* p, std::int64_t r, int columns) {
  std::vector<double> out;
  for (int c = 0; c < columns; ++c) out.push_back(__bfloat162float(p[row_offset(r, columns) + c]));
  return out;
}

double mean(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum / static_cast<double>(a.size());
}

double mean(const std::vector<double>& a) { return mean(a, std::vector<double>(a.size(), 1)); }

__nv_bfloat16 rounded(double x) { return __float2bfloat16(static_cast<float>(x)); }

}  // namespace

void reference(const ForwardParams& p) {
  validate(p.shape);
  const auto weight = row(p.weight, 0, p.shape.columns);
  for (std::int64_t r = 0; r < p.shape.rows; ++r) {
    auto x = row(p.x, r, p.shape.columns);
    const double centre = p.bias != nullptr ? mean(x) : 0;
    for (double& v : x) v -= centre;
    const double scale = 1 / std::sqrt(mean(x, x) + static_cast<double>(p.epsilon));
    for (int c = 0; c < p.shape.columns; ++c)
      p.y[row_offset(r, p.shape.columns) + c] = rounded(
          x[c] * scale * weight[c] + (p.bias != nullptr ? static_cast<double>(__bfloat162float(p.bias[c])) : 0));
  }
}

void reference(const InputGradientParams& p) {
  validate(p.shape);
  const auto weight = row(p.weight, 0, p.shape.columns);
  for (std::int64_t r = 0; r < p.shape.rows; ++r) {
    auto h = row(p.x, r, p.shape.columns);
    auto g = row(p.grad_y, r, p.shape.columns);
    const double scale = 1 / std::sqrt(mean(h, h) + static_cast<double>(p.epsilon));
    for (int c = 0; c < p.shape.columns; ++c) h[c] *= scale, g[c] *= weight[c];
    const double along = mean(g, h);
    for (int c = 0; c < p.shape.columns; ++c)
      p.grad_x[row_offset(r, p.shape.columns) + c] = rounded(scale * (g[c] - h[c] * along));
  }
}

}  // namespace traincost::kernels::norms
