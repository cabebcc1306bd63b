#include <traincost/scenario/random.hpp>

#include <cmath>
#include <numbers>

namespace traincost::scenario {
namespace {

// The constants of the paper's table 2 and 3.
constexpr std::uint32_t kMultiplier0 = 0xD2511F53U, kMultiplier1 = 0xCD9E8D57U;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9U, kWeyl1 = 0xBB67AE85U;
constexpr int kRounds = 10;

constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32U); }
constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }

// In the middle of its cell, so never 0 or 1.
double uniform(std::uint32_t a, std::uint32_t b) {
  constexpr double kCell = 1.0 / 9007199254740992.0;  // 2^-53
  const std::uint64_t bits = ((static_cast<std::uint64_t>(a) << 32U) | b) >> 11U;
  return (static_cast<double>(bits) + 0.5) * kCell;
}

template <std::size_t N>
double polynomial(const std::array<double, N>& c, double x) {
  double y = c[0];
  for (std::size_t i = 1; i < N; ++i) y = y * x + c[i];
  return y;
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(kMultiplier0) * c[0];
    const std::uint64_t p1 = static_cast<std::uint64_t>(kMultiplier1) * c[2];
    c = {high(p1) ^ c[1] ^ key[0], low(p1), high(p0) ^ c[3] ^ key[1], low(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

double normal_quantile(double p) {
  constexpr std::array kA{-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr std::array kB{-5.447609879822406e+01, 1.615858368580409e+02,  -1.556989798598866e+02,
                          6.680131188771972e+01,  -1.328068155288572e+01, 1.0};
  constexpr std::array kC{-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr std::array kD{7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00,
                          1.0};
  constexpr double kTail = 0.02425;
  if (p < kTail) {
    const double q = std::sqrt(-2 * std::log(p));
    return polynomial(kC, q) / polynomial(kD, q);
  }
  if (p > 1 - kTail) return -normal_quantile(1 - p);
  const double q = p - 0.5;
  const double r = q * q;
  return q * polynomial(kA, r) / polynomial(kB, r);
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

void standard_normals(std::uint64_t seed, std::uint64_t draw, std::span<double> out) {
  const std::array<std::uint32_t, 2> key{low(seed), high(seed)};
  for (std::size_t i = 0; i < out.size(); i += 2) {
    const auto bits = philox({low(draw), high(draw), static_cast<std::uint32_t>(i / 2), 0}, key);
    out[i] = normal_quantile(uniform(bits[0], bits[1]));
    if (i + 1 < out.size()) out[i + 1] = normal_quantile(uniform(bits[2], bits[3]));
  }
}

}  // namespace traincost::scenario
