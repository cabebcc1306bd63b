#include <algorithm>
#include <cmath>

#include <traincost/calibrate/fit.hpp>
#include <traincost/calibrate/ratios.hpp>
#include <traincost/calibrate/statistics.hpp>

namespace traincost::calibrate {
namespace {

// ln(real / predicted) of one chip's truths under another surface, where that chip holds this share.
std::vector<double> errors(const Surface& surface, const std::vector<Truth>& truths, double sustained) {
  std::vector<double> out;
  out.reserve(truths.size());
  for (const auto& t : truths) out.push_back(std::log(t.seconds / seconds(surface, slowed(t.load, sustained))));
  return out;
}

// Root of the mean square with the tails cut: a transfer errs by a bias as much as by scatter.
double root_mean_square(const std::vector<double>& values) {
  if (values.empty()) return 0;
  const double low = quantile(values, 0.05), high = quantile(values, 0.95);
  double sum = 0;
  for (double v : values) sum += std::pow(std::clamp(v, low, high), 2);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

TransferError transfer_error(Kind kind, const Truths& truths, const std::vector<catalog::Chip>& chips,
                             const Efficiency::Fitted& fitted) {
  std::vector<double> sibling, foreign;
  for (const auto& [key, group] : truths) {
    const auto& [k, dtype, chip] = key;
    if (k != kind) continue;
    const auto own = std::ranges::find(fitted.donors, chip, &Donor::chip);
    if (own == fitted.donors.end()) continue;
    const auto near = siblings(fitted, kind, dtype, *own);
    const double watts = watts_per_flops(*catalog::find_chip(chips, chip), dtype);
    const auto all = typical(fitted.surfaces, kind, dtype, chip);
    if (!near.empty())
      sibling.push_back(root_mean_square(errors(*near.front(), group, sustained(*near.front(), watts, all))));
    for (const auto& donor : fitted.donors) {
      if (donor.arch == own->arch || donor.pool != own->pool) continue;
      if (const auto* s = find_surface(fitted, kind, dtype, donor.chip))
        foreign.push_back(root_mean_square(errors(*s, group, 1)));
    }
  }
  return {.kind = kind, .sibling_sigma = quantile(sibling, 0.5), .pooled_sigma = quantile(foreign, 0.5)};
}

// Fewer shapes than this tell less about a chip than its siblings do; they still count in the pool.
constexpr std::size_t kMinShapes = 5;

constexpr double kBestMemoryEfficiency = 0.92;  // BabelStream's best on A100, H100 and H200

// Share of a chip's bandwidth that the published casts of large tensors reach, in the middle; 0 without enough of them.
double published_casts(const measure::Published& published, const std::string& chip, const Figures& f) {
  std::vector<double> shares;
  for (const auto& row : published.rows)
    if (row.chip == chip && kind_of(row.op) == Kind::quantize)
      shares.push_back(work::bytes(row.op, row.dtype).value / row.latency.value / f.bytes_per_s);
  return shares.size() < kMinShapes ? 0 : quantile(shares, 0.5);
}

struct Cast {
  double launch_s = 0, memory_efficiency = 0;
};

// The best cast inside the chip's fp8 GEMMs.
Cast cast_of_gemms(const Efficiency::Fitted& fitted, const std::string& chip) {
  Cast best;
  for (const auto& s : fitted.surfaces)
    if (s.chip == chip && s.kind == Kind::gemm && casts_inside(s.kind, s.dtype) &&
        1 / s.trend.cast_passes > best.memory_efficiency)
      best = {.launch_s = s.trend.launch_s, .memory_efficiency = 1 / s.trend.cast_passes};
  return best;
}

// The cast inside an fp8 GEMM's timing is the better provider of a cast where it beats the stand-alone kernel that
// serving times; of large tensors, those that training libraries publish may be better still.
void take_best_cast(Efficiency::Fitted& fitted, const std::vector<catalog::Chip>& chips,
                    const measure::Published& published) {
  for (auto& quantize : fitted.surfaces) {
    if (quantize.kind != Kind::quantize) continue;
    const auto inside = cast_of_gemms(fitted, quantize.chip);
    double best = inside.memory_efficiency;
    if (const auto* chip = catalog::find_chip(chips, quantize.chip))
      best = std::max(best, published_casts(published, chip->id, figures(*chip, quantize.kind, quantize.dtype)));
    best = std::min(best, kBestMemoryEfficiency);
    const double large = quantize.trend.memory_efficiency / std::exp(quantize.grid.values.back());
    if (best <= large) continue;
    quantize.trend.memory_efficiency = best;
    if (inside.launch_s > 0) quantize.trend.launch_s = std::min(quantize.trend.launch_s, inside.launch_s);
    quantize.provider_sigma = std::min(kMaxSpread, std::log(best / large));
    quantize.grid = {};
  }
}

// Of every chip of a pool.
std::vector<Figures> pool_figures(const Truths& truths, const std::vector<catalog::Chip>& chips, const SurfaceKey& pool,
                                  const std::string& without) {
  std::vector<Figures> out;
  for (const auto& [key, group] : truths) {
    const auto& [kind, dtype, id] = key;
    const auto* chip = catalog::find_chip(chips, id);
    if (id != without && chip != nullptr && SurfaceKey{kind, dtype, as_donor(*chip).pool} == pool)
      out.push_back(figures_of(chips, key));
  }
  return out;
}

// 0 where one is unknown.
double mean_watts_per_flops(const std::vector<Figures>& members) {
  double sum = 0;
  for (const auto& f : members) {
    if (f.watts_per_flops <= 0) return 0;
    sum += std::log(f.watts_per_flops);
  }
  return std::exp(sum / static_cast<double>(members.size()));
}

}  // namespace

std::vector<Donor> donors_of(const Truths& truths, const std::vector<catalog::Chip>& chips) {
  std::vector<Donor> donors;
  for (const auto& chip : chips)
    if (std::ranges::any_of(truths, [&](const auto& group) { return std::get<2>(group.first) == chip.id; }))
      donors.push_back(as_donor(chip));
  return donors;
}

Figures figures_of(const std::vector<catalog::Chip>& chips, const SurfaceKey& key) {
  const auto& [kind, dtype, chip] = key;
  return figures(*catalog::find_chip(chips, chip), kind, dtype);
}

Surface fit_pool(const Truths& truths, const std::vector<catalog::Chip>& chips, const SurfaceKey& pool,
                 const std::vector<Truth>& group, const Typical& all, const std::string& without) {
  const auto members = pool_figures(truths, chips, pool, without);
  const auto& [kind, dtype, name] = pool;
  auto surface = shrunk(fit_surface(kind, dtype, name, group, members.front()), members.size(), all);
  surface.watts_per_flops = mean_watts_per_flops(members);
  return surface;
}

std::map<SurfaceKey, std::vector<Truth>> pools(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                               const std::string& without) {
  std::map<SurfaceKey, std::vector<Truth>> out;
  for (const auto& [key, group] : truths) {
    const auto& [kind, dtype, id] = key;
    const auto* chip = catalog::find_chip(chips, id);
    if (id == without || chip == nullptr) continue;
    auto& all = out[{kind, dtype, as_donor(*chip).pool}];
    all.insert(all.end(), group.begin(), group.end());
  }
  return out;
}

std::vector<measure::Row> with_streams(std::vector<measure::Row> rows, const measure::Published& published) {
  for (const auto& row : published.rows)
    if (kind_of(row.op) == Kind::stream) rows.push_back(row);
  return rows;
}

Efficiency fit(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips,
               const measure::Published& published, const Progress& progress) {
  const Truths truths = merge(with_streams(rows, published), chips);
  auto fitted = std::make_shared<Efficiency::Fitted>();
  fitted->donors = donors_of(truths, chips);
  std::size_t done = 0;
  for (const auto& [key, group] : truths) {
    const auto& [kind, dtype, chip] = key;
    if (group.size() < kMinShapes) continue;
    fitted->surfaces.push_back(fit_surface(kind, dtype, chip, group, figures_of(chips, key)));
    if (progress) progress(++done, truths.size());
  }
  std::vector<Surface> pooled;
  for (const auto& [key, group] : pools(truths, chips, ""))
    pooled.push_back(
        fit_pool(truths, chips, key, group, typical(fitted->surfaces, std::get<0>(key), std::get<1>(key)), ""));
  fitted->surfaces.insert(fitted->surfaces.end(), pooled.begin(), pooled.end());
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    fitted->transfers.push_back(transfer_error(static_cast<Kind>(kind), truths, chips, *fitted));
  take_best_cast(*fitted, chips, published);
  fitted->ratios = fit_ratios(published, chips, Efficiency(fitted));
  return Efficiency(std::move(fitted));
}

Efficiency fit(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips) {
  return fit(rows, chips, {}, {});
}

}  // namespace traincost::calibrate
