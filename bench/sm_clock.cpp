#include <bench/sm_clock.hpp>

#include <map>

#include <bench/statistics.hpp>

namespace traincost::bench {

std::optional<double> sm_clock_hz(std::span<const Stamp> before, std::span<const Stamp> after) {
  std::map<std::uint32_t, Stamp> first;
  for (const auto& stamp : before) first[stamp.sm] = stamp;
  std::vector<double> clocks;
  for (const auto& stamp : after) {
    const auto start = first.find(stamp.sm);
    if (start == first.end() || stamp.nanoseconds < start->second.nanoseconds + kLeastNanoseconds) continue;
    clocks.push_back(1e9 * static_cast<double>(stamp.cycles - start->second.cycles) /
                     static_cast<double>(stamp.nanoseconds - start->second.nanoseconds));
  }
  if (clocks.empty()) return std::nullopt;
  return quantile(clocks, 0.5);
}

}  // namespace traincost::bench
