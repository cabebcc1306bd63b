#include <bench/sampling.hpp>

#include <bench/statistics.hpp>

#include <algorithm>

namespace traincost::bench {
namespace {

/// The samples so far and what they say about the next one.
class Run {
 public:
  Run(Probe& probe, const Rule& rule) : probe_(probe), rule_(rule), rest_(rule.first_rest), start_(probe.now()) {}

  void warm_up() {
    for (std::size_t i = 0; i < rule_.warm_up; ++i) note_clock(probe_.sample());
  }

  void take() {
    const Sample sample = probe_.sample();
    note_clock(sample);
    if (!is_slow(sample)) {
      rest_ = rule_.first_rest;
    } else if (out_.discarded < rule_.max_discarded) {
      ++out_.discarded;
      probe_.rest(rest_);
      rest_ = units::min(rest_ * rule_.rest_growth, rule_.longest_rest);
      return;
    } else {
      out_.is_throttled = true;
    }
    out_.seconds.push_back(sample.seconds.value);
  }

  bool is_done() {
    if (out_.seconds.empty()) return false;
    out_.is_settled =
        out_.seconds.size() >= rule_.min_samples && relative_deviation(out_.seconds) < rule_.relative_deviation;
    return out_.is_settled || out_.seconds.size() >= rule_.max_samples || is_out_of_time();
  }

  Sampling result() {
    if (!clocks_.empty()) out_.sm_clock_hz = quantile(clocks_, 0.5);
    return std::move(out_);
  }

 private:
  void note_clock(const Sample& sample) {
    if (sample.sm_clock_hz) clocks_.push_back(*sample.sm_clock_hz);
  }
  [[nodiscard]] bool is_slow(const Sample& sample) const {
    return sample.sm_clock_hz && *sample.sm_clock_hz < rule_.throttled_below * quantile(clocks_, 0.5);
  }
  // A launch of seconds gets more time, but not for ever.
  [[nodiscard]] bool is_out_of_time() const {
    constexpr double kGrace = 10;
    const double limit = rule_.time_limit.value * (out_.seconds.size() < rule_.min_samples ? kGrace : 1);
    return (probe_.now() - start_).value >= limit;
  }

  Probe& probe_;
  const Rule& rule_;
  units::Seconds rest_, start_;
  std::vector<double> clocks_;
  Sampling out_;
};

}  // namespace

Sampling take_samples(Probe& probe, const Rule& rule) {
  Run run(probe, rule);
  run.warm_up();
  do run.take();
  while (!run.is_done());
  return run.result();
}

}  // namespace traincost::bench
