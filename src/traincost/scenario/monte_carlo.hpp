#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include <traincost/cost/interval.hpp>
#include <traincost/scenario/simulate.hpp>

namespace traincost::scenario {

struct MonteCarlo {
  std::uint64_t draws = 100'000, seed = 1;
  unsigned threads = 0;                             // 0: all cores; the answer does not depend on it
  std::optional<std::filesystem::path> checkpoint;  // finished chunks are kept here, and not drawn again
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;  // may be called from any thread, one at a time
};

/// Quantiles at each reported quarter, and who reaches the run in question.
struct Outcome {
  std::vector<int> at;                                                       // quarters
  std::vector<std::array<cost::Interval, kMetricCount>> quantiles;           // [at.size()]
  std::vector<std::array<double, kMetricCount>> at_medians;                  // the deterministic answer at the medians
  double both = 0, only_restricted = 0, only_unrestricted = 0, neither = 0;  // shares of the draws
  std::uint64_t draws = 0, drawn_now = 0;
  double cpu_seconds = 0;  // of drawing, all cores together
};

/// `fingerprint`: of everything that decides a draw; a checkpoint with another one is refused (InputError).
Outcome run(const Plan& plan, const std::vector<int>& at, const MonteCarlo& how, std::uint64_t fingerprint);

/// FNV-1a of the scenario's text and of the plan's rates.
std::uint64_t fingerprint(const Scenario& scenario, const Plan& plan);

/// The metric at `quarter` with each factor alone at its 5 % and 95 % quantile; the widest first.
struct Swing {
  Knob knob;
  double low, high;  // of the metric, at p5 and p95 of the factor
};
std::vector<Swing> tornado(const Plan& plan, Metric metric, int quarter);

}  // namespace traincost::scenario
