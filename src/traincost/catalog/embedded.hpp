#pragma once

#include <span>
#include <string_view>

namespace traincost::catalog {

/// A file of the catalogue or of results/calibration, compiled in (cmake/embed.cmake).
struct Embedded {
  std::string_view name;  // file name without folder
  std::string_view text;
};

std::span<const Embedded> embedded_chips();
std::span<const Embedded> embedded_clusters();
std::span<const Embedded> embedded_models();
std::span<const Embedded> embedded_prices();
std::span<const Embedded> embedded_calibration();

}  // namespace traincost::catalog
