#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <bench/job.hpp>
#include <bench/run.hpp>

/// A device whose samples are written down beforehand and whose clock advances by what happens on it.
namespace traincost::bench::test {

struct FakeClock {
  units::Seconds time{};
  std::vector<double> rests;  // seconds
};

struct Script {
  std::function<Sample(std::size_t)> sample;  // by how many were taken before, warm-up too
  std::string mismatch{};
};

class FakeProbe : public Probe {
 public:
  FakeProbe(FakeClock& clock, Script script) : clock_(clock), script_(std::move(script)) {}

  std::string mismatch() override { return script_.mismatch; }
  Sample sample() override {
    const Sample s = script_.sample(taken++);
    clock_.time += s.seconds;
    return s;
  }
  Health health() override { return {.temperature_c = 50, .power_w = 600}; }
  units::Seconds now() override { return clock_.time; }
  void rest(units::Seconds seconds) override {
    clock_.time += seconds;
    clock_.rests.push_back(seconds.value);
  }

  std::size_t taken = 0;

 private:
  FakeClock& clock_;
  Script script_;
};

inline constexpr double kClock = 1.7e9;

/// Around `seconds` by a saw tooth of the relative height `noise`.
inline Script steady(double seconds, double noise = 0) {
  return {.sample = [=](std::size_t i) {
    return Sample{{seconds * (1 + noise * (static_cast<double>(i % 5) - 2) / 2)}, kClock};
  }};
}

inline Job gemm_job(FakeClock& clock, double m, double seconds, measure::Mode mode = measure::Mode::cold) {
  const work::Op op = work::Gemm{.m = m, .n = 4096, .k = 4096};
  const auto flops = work::flops(op);
  return {.case_name = "gemm",
          .provider = "fake",
          .shape = "m=" + std::to_string(static_cast<int>(m)),
          .mode = mode,
          .code_path = "a fake one",
          .flops = flops,
          .bytes = work::bytes(op, work::Dtype::bf16),
          .floor = {flops.value / 989e12},
          .fields = measure::fields_of(op),
          .prepare = [&clock, seconds] { return std::make_unique<FakeProbe>(clock, steady(seconds)); }};
}

inline Settings settings(FakeClock& clock, std::vector<std::string>& told) {
  return {.rule = {},
          .budget = {},
          .now = [&clock] { return clock.time; },
          .is_interrupted = [] { return false; },
          .tell = [&told](const std::string& line) { told.push_back(line); }};
}

}  // namespace traincost::bench::test
