#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <kernels/registry.hpp>

namespace traincost::kernels {

inline double to_double(float x) { return x; }
inline double to_double(__nv_bfloat16 x) { return __bfloat162float(x); }

/// Of `got` from `want`. A NaN that meets a number is infinitely far off; the relative deviation is by the larger of
/// |want| and the root mean square of all of `want`, so that a number near 0 does not decide.
template <class T>
Deviation deviation(const std::vector<T>& got, const std::vector<T>& want) {
  double squares = 0;
  for (const T w : want) squares += std::isfinite(to_double(w)) ? to_double(w) * to_double(w) : 0;
  const double typical = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(want.size(), 1)));
  Deviation d;
  double dot = 0, got_squares = 0, want_squares = 0;
  if (got.size() != want.size()) return {.absolute = std::numeric_limits<double>::infinity(), .is_exact = false};
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double g = to_double(got[i]);
    const double w = to_double(want[i]);
    if ((std::isnan(g) && std::isnan(w)) || g == w) {
      if (std::isfinite(g)) dot += g * w, got_squares += g * g, want_squares += w * w;
      continue;
    }
    const double off =
        std::isfinite(g) && std::isfinite(w) ? std::fabs(g - w) : std::numeric_limits<double>::infinity();
    d.absolute = std::max(d.absolute, off);
    d.relative = std::max(d.relative, off / std::max(std::fabs(w), typical));
    dot += g * w, got_squares += g * g, want_squares += w * w;
  }
  const double both = got_squares + want_squares;
  d.cosine = both > 0 ? 1 - 2 * dot / both : 0;
  return d;
}

inline Deviation worse(const Deviation& a, const Deviation& b) {
  return {.absolute = std::max(a.absolute, b.absolute),
          .relative = std::max(a.relative, b.relative),
          .cosine = std::max(a.cosine, b.cosine),
          .is_exact = a.is_exact && b.is_exact};
}

}  // namespace traincost::kernels
