#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <bench/probe.hpp>

namespace traincost::bench {

/// When to stop, and which samples do not count.
struct Rule {
  std::size_t warm_up = 3;
  std::size_t min_samples = 10;
  std::size_t max_samples = 2000;     // a launch of 2 us would take half a million within the time limit
  double relative_deviation = 0.005;  // enough agreement, as nvbench's default
  units::Seconds time_limit{3};       // ten times as much while there are fewer than min_samples
  double throttled_below = 0.85;      // of the run's median clock: what a thermal limit takes, not what boost wobbles
  std::size_t max_discarded = 30;     // three times min_samples; a card that stays slow is timed as it is
  units::Seconds first_rest{0.05};    // after a throttled sample, each time longer, as nvbench
  double rest_growth = 1.5;
  units::Seconds longest_rest{1};
};

/// One sampling run.
struct Sampling {
  std::vector<double> seconds;        // of the samples that count
  std::size_t discarded = 0;          // throttled ones
  bool is_throttled = false;          // too many: throttled samples count from then on
  bool is_settled = false;            // stopped because the samples agree, not because time was over
  std::optional<double> sm_clock_hz;  // median
};

Sampling take_samples(Probe& probe, const Rule& rule);

}  // namespace traincost::bench
