#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include <traincost/calibrate/fit.hpp>
#include <traincost/calibrate/own.hpp>
#include <traincost/calibrate/statistics.hpp>

namespace traincost::calibrate {
namespace {

constexpr std::size_t kShapesOfATrend = 5;
constexpr double kSmoothness = 1;  // few shapes: bend as little as they allow

std::vector<Residual> residuals(const Surface& surface, const std::vector<Truth>& truths) {
  std::vector<Residual> out;
  out.reserve(truths.size());
  for (const auto& t : truths) out.push_back({t.load.at, std::log(t.seconds / seconds(surface, t.load))});
  return out;
}

Surface moved(Surface surface, const std::vector<Truth>& truths) {
  const auto correction = fit_grid(surface.grid.axes, residuals(surface, truths), kSmoothness);
  for (std::size_t i = 0; i < surface.grid.values.size(); ++i) surface.grid.values[i] += correction.values[i];
  std::vector<double> left;
  for (const auto& r : residuals(surface, truths)) left.push_back(r.value);
  surface.residual = {quantile(left, 0.05), quantile(left, 0.5), quantile(left, 0.95)};
  surface.residual_sigma = std::max(surface.residual_sigma, robust_sigma(left));
  surface.shapes += truths.size();
  return surface;
}

// nullopt: nothing to start from, and too few shapes to start with.
std::optional<Surface> refreshed(const Efficiency::Fitted& base, const SurfaceKey& key, const Donor& donor,
                                 const std::vector<Truth>& truths, const Figures& figures) {
  const auto& [kind, dtype, chip] = key;
  const Choice start = choose(base, donor, kind, dtype);
  if (start.surface != nullptr && start.dtype == dtype && !start.surface->grid.axes.empty()) {
    Surface surface = moved(*start.surface, truths);
    surface.chip = chip;
    surface.watts_per_flops = figures.watts_per_flops;
    return surface;
  }
  if (truths.size() < kShapesOfATrend) return std::nullopt;
  return fit_surface(kind, dtype, chip, truths, figures);
}

bool is_of(const Surface& s, const SurfaceKey& key) { return SurfaceKey{s.kind, s.dtype, s.chip} == key; }

}  // namespace

Efficiency refresh(const Efficiency& base, const Preferred& own, const std::vector<catalog::Chip>& chips) {
  const Truths truths = merge(own.rows, chips);
  auto fitted = std::make_shared<Efficiency::Fitted>(base.fitted());
  for (const auto& [key, group] : truths) {
    const auto donor = as_donor(*catalog::find_chip(chips, std::get<2>(key)));
    auto surface = refreshed(base.fitted(), key, donor, group, figures_of(chips, key));
    if (!surface) continue;
    std::erase_if(fitted->surfaces, [&](const Surface& s) { return is_of(s, key); });
    fitted->surfaces.push_back(std::move(*surface));
    if (std::ranges::find(fitted->donors, donor.chip, &Donor::chip) == fitted->donors.end())
      fitted->donors.push_back(donor);
  }
  return Efficiency(std::move(fitted));
}

}  // namespace traincost::calibrate
