#include <traincost/calibrate/surface.hpp>

#include <ceres/ceres.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <traincost/calibrate/monotone.hpp>
#include <traincost/calibrate/statistics.hpp>
#include <traincost/units/error.hpp>

namespace traincost::calibrate {
namespace {

using Axes = std::vector<std::vector<double>>;

std::vector<double> log2_of(std::initializer_list<double> values) {
  std::vector<double> out;
  for (double v : values) out.push_back(std::log2(v));
  return out;
}

// Nodes where the tables have support; denser where launch, tiles and waves bend the curve.
Axes axes_of(Kind kind) {
  const auto weights = log2_of({512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768, 65536});
  const auto sequences = log2_of({16, 64, 128, 256, 512, 1024, 1536, 2048, 4096, 8192, 16384});
  const auto heads = log2_of({1, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384});
  switch (kind) {
    case Kind::gemm:
      return {log2_of({16, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768}), weights,
              weights};
    case Kind::attention:
      return {sequences, heads, log2_of({1, 2, 4, 8, 16, 32, 96})};
    case Kind::attention_mla:
      return {sequences, heads};
    case Kind::decode:
      return {log2_of({2, 16, 64, 256, 1024, 4096, 16384, 65536, 131072}),
              log2_of({1, 4, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384}), log2_of({1, 2, 4, 8, 16, 32, 96})};
    case Kind::decode_mla:
      return {log2_of({2, 16, 64, 256, 1024, 4096, 16384, 65536, 131072}),
              log2_of({1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}), log2_of({1, 2, 4, 8, 16, 32, 64, 128})};
    case Kind::moe_mlp:
      return {log2_of({1, 4, 16, 64, 128, 256, 512, 1024, 4096, 16384, 65536}), log2_of({1, 4, 16, 64, 128, 256, 512}),
              log2_of({2048, 3072, 4096, 5120, 7168}), log2_of({96, 256, 512, 1024, 2048, 4096, 14336})};
    case Kind::stream:
      return {};
    case Kind::quantize:
      return {log2_of({0x1p10, 0x1p14, 0x1p16, 0x1p18, 0x1p20, 0x1p22, 0x1p24, 0x1p26, 0x1p28, 0x1p30, 0x1p32})};
    case Kind::dispatch:
    case Kind::combine:
      return {log2_of({1, 4, 16, 64, 256, 512, 1024, 2048, 4096, 8192, 16384}), log2_of({2048, 4096, 7168}),
              log2_of({1, 2, 4, 8, 22})};
    default: {
      std::vector<double> bytes(21), gpus{1, 2, 3};
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = 9 + static_cast<double>(i);  // 512 B to 512 MiB
      return {bytes, gpus};
    }
  }
}

constexpr double kSmoothness = 0.1;         // of 0.1, 0.3 and 1 the one with the least error on held-out shapes
constexpr double kGemmSmoothness = 0.03;    // of 0.01, 0.03, 0.1 and 0.3
constexpr double kProfileSmoothness = 0.3;  // of 0.1, 0.3 and 1, likewise
constexpr double kNodeGap = 0.004;          // log2
constexpr int kRounds = 2;
constexpr double kRobust = 0.05;            // ln residual where the soft-L1 loss turns linear
constexpr std::size_t kTrendSample = 1500;  // timings are enough for ten parameters

// Loose bounds in the coordinates of TrendVector: what no chip or library does.
constexpr TrendVector kLower{-2.3, -4, -4, -2.3, 0, -4, -7, -7, -7, -7, -5, -1.2};
// A wave that is lost whole makes steps which the grid cannot follow: at most four fifths.
constexpr TrendVector kUpper{5, 0.1, 1.2, 2.2, 9.2, 4, 1, 1, 1, 2.3, 2.3, 0.7};

struct TrendResidual {
  const Truth& truth;
  bool operator()(const double* parameters, double* residual) const {
    TrendVector v;
    std::copy_n(parameters, v.size(), v.begin());
    residual[0] = std::log(seconds(from_vector(v), truth.load) / truth.seconds);
    return std::isfinite(residual[0]);
  }
};

Trend start(Kind kind, bool with_cast) {
  Trend trend;
  if (with_cast) trend.cast_passes = 1;
  if (kind == Kind::gemm || kind == Kind::moe_mlp) trend.cache_gain = 1;
  if (uses_link(kind)) trend.launch_s = 8e-6;
  return trend;
}

std::vector<const Truth*> sample(const std::vector<Truth>& truths) {
  std::vector<const Truth*> all;
  all.reserve(truths.size());
  for (const auto& t : truths) all.push_back(&t);
  std::mt19937 random(1);  // fixed: the same rows give the same file
  for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random() % i]);
  all.resize(std::min(all.size(), kTrendSample));
  return all;
}

Trend fit_trend(Kind kind, work::Dtype dtype, const std::vector<Truth>& truths) {
  const bool with_cast = casts_inside(kind, dtype);
  TrendVector v = to_vector(start(kind, with_cast));
  ceres::Problem problem;
  for (const Truth* truth : sample(truths)) {
    using Cost = ceres::NumericDiffCostFunction<TrendResidual, ceres::CENTRAL, 1, kTrendParameters>;
    problem.AddResidualBlock(new Cost(new TrendResidual{*truth}), new ceres::SoftLOneLoss(kRobust), v.data());
  }
  const auto fitted = fitted_parameters(kind, with_cast);
  std::vector<int> constant;
  for (int i = 0; i < static_cast<int>(kTrendParameters); ++i) {
    if (std::ranges::find(fitted, i) == fitted.end()) {
      constant.push_back(i);
      continue;
    }
    problem.SetParameterLowerBound(v.data(), i, kLower[static_cast<std::size_t>(i)]);
    problem.SetParameterUpperBound(v.data(), i, kUpper[static_cast<std::size_t>(i)]);
  }
  if (!constant.empty())
    problem.SetManifold(v.data(), new ceres::SubsetManifold(static_cast<int>(kTrendParameters), constant));
  ceres::Solver::Options options;
  options.linear_solver_type = ceres::DENSE_NORMAL_CHOLESKY;
  options.max_num_iterations = 50;
  options.logging_type = ceres::SILENT;
  ceres::Solver::Summary summary;
  ceres::Solve(options, &problem, &summary);
  return from_vector(v);
}

// What the profile makes of a load: ln.
double jump(const Surface& s, const Load& l) {
  return s.profile.values.empty() || l.sm_count != s.sm_count
             ? 0
             : arithmetic_share(s.trend, l) * interpolate(s.profile, l.cut);
}

double log_over_trend(const Surface& s, const Truth& t) { return std::log(t.seconds / seconds(s.trend, t.load)); }

Grid fit_residual_grid(const Surface& s, const std::vector<Truth>& truths) {
  const auto axes = axes_of(s.kind);
  if (axes.empty()) return {};
  std::vector<Residual> residuals;
  residuals.reserve(truths.size());
  for (const auto& t : truths) residuals.push_back({t.load.at, log_over_trend(s, t) - jump(s, t.load)});
  return fit_grid(axes, residuals, s.kind == Kind::gemm ? kGemmSmoothness : kSmoothness);
}

// The counts of tiles that were timed, as log2 of waves; neighbours that the file could not tell apart are one.
std::vector<double> profile_nodes(const std::vector<Truth>& truths) {
  std::vector<double> waves, nodes;
  waves.reserve(truths.size());
  for (const auto& t : truths) waves.push_back(t.load.cut[0]);
  std::ranges::sort(waves);
  for (double w : waves)
    if (nodes.empty() || w > nodes.back() + kNodeGap) nodes.push_back(w);
  return nodes;
}

// One node is as near to the next as to any other: a wave more is a jump, however few tiles it is away.
Grid fit_profile(const Surface& s, const std::vector<Truth>& truths) {
  const auto nodes = profile_nodes(truths);
  std::vector<double> steps(nodes.size());
  std::iota(steps.begin(), steps.end(), 0.0);
  std::vector<Residual> residuals;
  residuals.reserve(truths.size());
  for (const auto& t : truths)
    residuals.push_back({{position(nodes, t.load.cut[0]), t.load.cut[1]},
                         log_over_trend(s, t) - interpolate(s.grid, t.load.at),
                         arithmetic_share(s.trend, t.load)});
  auto profile = fit_grid({steps, log2_of({768, 3072, 12288})}, residuals, kProfileSmoothness);
  profile.axes[0] = nodes;
  make_monotone(profile, s.trend);
  return profile;
}

}  // namespace

bool casts_inside(Kind kind, work::Dtype dtype) {
  return kind == Kind::attention || kind == Kind::attention_mla ||
         (kind == Kind::gemm && work::bytes_per_element(dtype) < 2);
}

double seconds(const Surface& surface, const Load& load) {
  const double time = seconds(surface.trend, load) * std::exp(interpolate(surface.grid, load.at) + jump(surface, load));
  return std::max(time, load.flops_s);
}

Surface fit_surface(Kind kind, work::Dtype dtype, const std::string& chip, const std::vector<Truth>& truths,
                    const Figures& figures) {
  if (truths.empty())
    throw InputError(fmt::format("{} {} {}: no timings to fit", chip, to_string(kind), to_string(dtype)));
  Surface s{
      .kind = kind, .dtype = dtype, .chip = chip, .trend = fit_trend(kind, dtype, truths), .grid = {}, .profile = {}};
  s.shapes = truths.size();
  s.watts_per_flops = figures.watts_per_flops;
  s.sm_count = figures.sm_count;
  const bool has_profile = kind == Kind::gemm && !is_pool(chip);
  for (int round = 0; round < (has_profile ? kRounds : 1); ++round) {  // each of the two follows what the other leaves
    s.grid = fit_residual_grid(s, truths);
    make_monotone(s, figures);
    if (has_profile) s.profile = fit_profile(s, truths);
  }
  std::vector<double> errors, spreads;
  for (const auto& t : truths) {
    errors.push_back(std::log(t.seconds / seconds(s, t.load)));
    if (t.spread > 0) spreads.push_back(t.spread);
  }
  s.residual = {quantile(errors, 0.05), quantile(errors, 0.5), quantile(errors, 0.95)};
  s.residual_sigma = robust_sigma(errors);
  s.provider_sigma = spreads.empty() ? 0 : quantile(spreads, 0.5);
  return s;
}

}  // namespace traincost::calibrate
