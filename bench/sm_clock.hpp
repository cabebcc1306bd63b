#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace traincost::bench {

/// A block's stamp: SM, its cycle counter, and the nanoseconds that all SMs share.
struct Stamp {
  std::uint32_t sm = 0;
  std::uint64_t cycles = 0, nanoseconds = 0;
};

/// The median clock of the SMs that stamped before and after. Counters of different SMs are not compared. nullopt when
/// less than kLeastNanoseconds lie between: the shared timer of some cards ticks once a microsecond.
inline constexpr std::uint64_t kLeastNanoseconds = 20'000;
std::optional<double> sm_clock_hz(std::span<const Stamp> before, std::span<const Stamp> after);

}  // namespace traincost::bench
