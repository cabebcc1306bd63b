#pragma once

#include <chrono>

#include <traincost/units/quantity.hpp>

namespace traincost::bench {

/// Since a moment in the past.
inline units::Seconds wall_time() {
  return {std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

}  // namespace traincost::bench
