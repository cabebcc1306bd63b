#include <gtest/gtest.h>

#include <cmath>

#include <traincost/calibrate/monotone.hpp>
#include <traincost/calibrate/surface.hpp>

// The profile of a GEMM surface: what a library makes of each count of tiles, beside trend and grid.
namespace traincost::calibrate {
namespace {

using work::Dtype;

constexpr Figures kFigures{.flops_per_s = 1e15, .bytes_per_s = 3e12, .sm_count = 132};
const Trend kLaw{.launch_s = 4e-6, .compute_efficiency = 0.8, .memory_efficiency = 0.85, .wave_share = 0.5};

double tiles(const work::Gemm& g) { return std::ceil(g.m / 128) * std::ceil(g.n / 128); }

// A library with a poor kernel for every count of tiles that five divides: too jagged for a grid over m, n and k.
double real_seconds(const work::Gemm& g, const Figures& f) {
  auto trend = kLaw;
  if (std::fmod(tiles(g), 5) == 0) trend.compute_efficiency *= 0.8;
  return seconds(trend, load(g, Dtype::bf16, f, false));
}

std::vector<work::Gemm> shapes(double k_factor) {
  std::vector<work::Gemm> out;
  for (double rows = 1; rows <= 24; ++rows)
    for (double columns = 1; columns <= 24; ++columns)
      for (double k = 512; k <= 16384; k *= 2)
        for (double short_by : {0, 40, 90}) out.push_back({128 * rows - short_by, 128 * columns, k * k_factor});
  return out;
}

Surface fitted(const std::string& chip) {
  std::vector<Truth> truths;
  for (const auto& g : shapes(1))
    truths.push_back({.op = g, .load = load(g, Dtype::bf16, kFigures, false), .seconds = real_seconds(g, kFigures)});
  return fit_surface(Kind::gemm, Dtype::bf16, chip, truths, kFigures);
}

double typical_error(const Surface& s, const Figures& f) {
  double sum = 0;
  const auto unseen = shapes(1.5);
  for (const auto& g : unseen)
    sum += std::abs(std::log(seconds(s, load(g, Dtype::bf16, f, false)) / real_seconds(g, f)));
  return sum / static_cast<double>(unseen.size());
}

TEST(Profile, KnowsWhatALibraryMakesOfACountOfTiles) {
  auto s = fitted("timed");
  EXPECT_FALSE(s.profile.values.empty());
  const double with = typical_error(s, kFigures);
  s.profile = {};
  EXPECT_LT(with, 0.03);
  EXPECT_LT(with, 0.6 * typical_error(s, kFigures));
}

TEST(Profile, IsOfOneCountOfSmsAndNotOfAPool) {
  const auto s = fitted("timed");
  auto plain = s;
  plain.profile = {};
  auto fewer = kFigures;
  fewer.sm_count = 78;
  for (const auto& g : shapes(1)) {
    const auto l = load(g, Dtype::bf16, fewer, false);
    EXPECT_DOUBLE_EQ(seconds(s, l), seconds(plain, l));
  }
  EXPECT_TRUE(fitted(kStackedPool).profile.values.empty());
}

TEST(Profile, MovesOnlyTheArithmetic) {
  const auto s = fitted("timed");
  auto plain = s;
  plain.profile = {};
  const auto change = [&](const work::Gemm& g) {
    const auto l = load(g, Dtype::bf16, kFigures, false);
    return std::abs(std::log(seconds(s, l) / seconds(plain, l)));
  };
  const work::Gemm thin{16, 5 * 128, 16384}, thick{128, 5 * 128, 16384};  // the same tiles
  EXPECT_EQ(tiles(thin), tiles(thick));
  EXPECT_GT(change(thick), 0);
  auto memory_only = kFigures;
  memory_only.bytes_per_s = 1e9;
  const auto l = load(thick, Dtype::bf16, memory_only, false);
  EXPECT_NEAR(seconds(s, l) / seconds(plain, l), 1, 1e-3);
}

TEST(ArithmeticShare, IsTheLogDerivative) {
  for (const auto& g : {work::Gemm{16, 4096, 4096}, work::Gemm{512, 4096, 4096}, work::Gemm{8192, 8192, 8192}}) {
    const auto l = load(g, Dtype::bf16, kFigures, false);
    auto slower = kLaw;
    slower.compute_efficiency *= std::exp(-1e-4);
    const double numeric = std::log(seconds(slower, l) / seconds(kLaw, l)) / 1e-4;
    EXPECT_NEAR(arithmetic_share(kLaw, l), numeric, 1e-4) << work::describe(g);
  }
  EXPECT_EQ(arithmetic_share(kLaw, load(work::Stream{.bytes = 1e9}, Dtype::bf16, kFigures, false)), 0);
}

TEST(Profile, TwiceTheTilesTakeNoLess) {
  Grid profile{.axes = {{-3, -2, -1.5, -1, 0, 0.1, 1}, {9, 13}}, .values = {}};
  for (double v : {0.0, 2.0, 0.5, -1.0, -0.2, 0.4, 0.9}) profile.values.insert(profile.values.end(), {v, -v});
  const auto before = profile;
  make_monotone(profile, kLaw);
  const auto& waves = profile.axes[0];
  const auto log_seconds = [&](std::size_t node, std::size_t line) {
    return std::log(std::exp2(waves[node]) * quantised(kLaw, std::exp2(waves[node]))) + profile.values[2 * node + line];
  };
  for (std::size_t a = 0; a < waves.size(); ++a)
    for (std::size_t b = 0; b < waves.size(); ++b)
      for (std::size_t line : {0U, 1U})
        if (waves[b] >= waves[a] + 1) EXPECT_LE(log_seconds(a, line), log_seconds(b, line) + 1e-12) << a << " " << b;
  for (std::size_t i = 0; i < profile.values.size(); ++i) EXPECT_LE(profile.values[i], before.values[i]);
  EXPECT_EQ(profile.values[12], before.values[12]) << "nothing is twice the last";
}

TEST(Position, LiesBetweenNodesAndStopsAtTheEnds) {
  const std::vector<double> nodes{1, 2, 4};
  EXPECT_EQ(position(nodes, 0), 0);
  EXPECT_EQ(position(nodes, 1.5), 0.5);
  EXPECT_EQ(position(nodes, 2), 1);
  EXPECT_EQ(position(nodes, 3), 1.5);
  EXPECT_EQ(position(nodes, 9), 2);
}

}  // namespace
}  // namespace traincost::calibrate
