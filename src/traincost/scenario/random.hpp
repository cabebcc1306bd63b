#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace traincost::scenario {

/// Philox4x32-10 (Salmon et al., SC 2011): the random bits are a function of key and counter, so a draw is the same
/// whichever thread makes it and in whatever order.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Quantile function of the standard normal distribution, to about 1e-9 (Acklam's rational approximation); 0 < p < 1.
double normal_quantile(double p);
double normal_cdf(double z);

/// Independent standard normals of draw `draw` into `out`.
void standard_normals(std::uint64_t seed, std::uint64_t draw, std::span<double> out);

}  // namespace traincost::scenario
