#pragma once

#include <optional>
#include <string>

#include <traincost/units/quantity.hpp>

/// What the timing logic asks of a device. A card implements it (bench/cuda), and the tests with a clock of their own.
namespace traincost::bench {

struct Sample {
  units::Seconds seconds;             // of one launch
  std::optional<double> sm_clock_hz;  // while it ran
};

struct Health {
  std::optional<double> temperature_c, power_w;
};

/// One launch in one mode, ready to be timed again and again.
class Probe {
 public:
  virtual ~Probe() = default;

  /// What is wrong with the launch's answer; empty when it matches the reference. Nothing is timed before.
  virtual std::string mismatch() = 0;
  virtual Sample sample() = 0;
  virtual Health health() = 0;

  virtual units::Seconds now() = 0;               // by the wall
  virtual void rest(units::Seconds seconds) = 0;  // the device idles and cools
};

}  // namespace traincost::bench
