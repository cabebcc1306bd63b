#include <bench/run.hpp>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include <bench/statistics.hpp>

namespace traincost::bench {
namespace {

constexpr const char* kNotBegun = "not begun";

std::string label(const Job& job) {
  auto text = fmt::format("case={} provider={} dtype={} mode={}", job.case_name, job.provider,
                          work::to_string(job.dtype), to_string(job.mode));
  for (const auto& [key, value] : job.fields.words) text += fmt::format(" {}={}", key, value);
  std::string path = job.code_path;
  std::ranges::replace(path, ' ', '_');
  return text + " code_path=" + path;
}

void count(benchmark::State& state, const Job& job, const Sampling& s, const Health& health) {
  const double median = quantile(s.seconds, 0.5);
  auto& counters = state.counters;
  counters["latency_s"] = median;
  counters["p25_s"] = quantile(s.seconds, 0.25);
  counters["p75_s"] = quantile(s.seconds, 0.75);
  counters["p95_s"] = quantile(s.seconds, 0.95);
  counters["relative_deviation"] = s.seconds.size() > 1 ? relative_deviation(s.seconds) : 0;
  counters["samples"] = static_cast<double>(s.seconds.size());
  counters["discarded"] = static_cast<double>(s.discarded);
  counters["throttled"] = s.is_throttled ? 1 : 0;
  counters["settled"] = s.is_settled ? 1 : 0;
  if (s.sm_clock_hz) counters["sm_clock_hz"] = *s.sm_clock_hz;
  if (health.temperature_c) counters["temperature_c"] = *health.temperature_c;
  if (health.power_w) counters["power_w"] = *health.power_w;
  counters["flop"] = job.flops.value;
  counters["traffic_bytes"] = job.bytes.value;
  counters["flop_per_s"] = job.flops.value / median;
  counters["bytes_per_s"] = job.bytes.value / median;
  counters["floor_s"] = job.floor.value;
  counters["percent_of_floor"] = 100 * job.floor.value / median;
  if (job.buffer.value > 0) {  // as NCCL's tests name them
    counters["algbw"] = job.buffer.value / median;
    counters["busbw"] = job.bytes.value / median;
  }
  for (const auto& [key, value] : job.fields.numbers) counters[key] = value;
}

// One iteration: the answer, then the whole sampling run.
void time_job(benchmark::State& state, const Job& job, const Settings& settings) {
  const auto probe = job.prepare();
  if (const auto wrong = probe->mismatch(); !wrong.empty()) return state.SkipWithError(wrong.c_str());
  const auto sampling = take_samples(*probe, settings.rule);
  state.SetIterationTime(quantile(sampling.seconds, 0.5));
  count(state, job, sampling, probe->health());
}

bool may_begin(const Settings& settings, units::Seconds start) {
  return !settings.is_interrupted() && (!settings.budget || settings.now() - start < *settings.budget);
}

void body(benchmark::State& state, const Job& job, const Settings& settings, units::Seconds start) {
  state.SetLabel(label(job));
  for (auto _ : state) {
    if (!may_begin(settings, start)) {
      state.SkipWithError(kNotBegun);
      break;
    }
    try {
      time_job(state, job, settings);
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
    }
  }
}

/// Writes each run into the journal as Google Benchmark's own JSON and tells how far the whole is.
class RowReporter : public benchmark::BenchmarkReporter {
 public:
  RowReporter(Journal& journal, const Settings& settings, std::size_t all, units::Seconds start)
      : journal_(journal), settings_(settings), all_(all), start_(start) {
    json_.SetOutputStream(&text_);
    json_.SetErrorStream(&text_);
  }

  bool ReportContext(const Context& context) override {
    json_.ReportContext(context);
    journal_.begin(context_object(take_text()));
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const auto& run : runs) {
      if (run.error_occurred && run.error_message == kNotBegun) {
        ++summary.left;
        continue;
      }
      json_.ReportRuns({run});
      const auto text = take_text();
      journal_.append(text.substr(text.find('{')));
      ++(run.error_occurred ? summary.wrong : summary.timed);
      tell(run);
    }
  }

  Summary summary;

 private:
  std::string take_text() {
    auto text = text_.str();
    text_.str("");
    return text;
  }
  // {"context": {...}, "benchmarks": [  ->  {...}
  static std::string context_object(const std::string& text) {
    const auto begin = text.find('{', text.find('{') + 1);
    return text.substr(begin, text.rfind('}') - begin + 1);
  }
  void tell(const Run& run) {
    const auto done = summary.timed + summary.wrong;
    const auto what = run.error_occurred
                          ? "FAILED: " + run.error_message
                          : fmt::format("{:.2f} us, {:.0f} % of floor", 1e6 * run.counters.at("latency_s").value,
                                        run.counters.at("percent_of_floor").value);
    settings_.tell(fmt::format("[{}/{}] {}: {}; {}", done, all_, plain_name(run.benchmark_name()), what,
                               time_left(done, all_, settings_.now() - start_)));
  }

  Journal& journal_;
  const Settings& settings_;
  std::size_t all_;
  units::Seconds start_;
  std::ostringstream text_;
  benchmark::JSONReporter json_;
};

}  // namespace

std::string time_left(std::size_t done, std::size_t all, units::Seconds spent) {
  if (done == 0) return "";
  const double seconds = spent.value / static_cast<double>(done) * static_cast<double>(all - std::min(done, all));
  if (seconds < 90) return fmt::format("{:.0f} s left", seconds);
  return seconds < 5400 ? fmt::format("{:.0f} min left", seconds / 60) : fmt::format("{:.1f} h left", seconds / 3600);
}

Summary run(const std::vector<Job>& jobs, Journal& journal, const Settings& settings) {
  std::vector<const Job*> pending;
  Summary skipped;
  for (const auto& job : jobs) {
    if (journal.finished().contains(key(job))) continue;
    if (job.skip.empty())
      pending.push_back(&job);
    else
      ++skipped.skipped, settings.tell(fmt::format("{}: skipped: {}", key(job), job.skip));
  }
  const auto start = settings.now();
  benchmark::ClearRegisteredBenchmarks();
  for (const Job* job : pending)
    benchmark::RegisterBenchmark(key(*job).c_str(),
                                 [=, &settings](benchmark::State& state) { body(state, *job, settings, start); })
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMicrosecond);
  RowReporter reporter(journal, settings, pending.size(), start);
  if (!pending.empty()) benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::ClearRegisteredBenchmarks();
  reporter.summary.skipped = skipped.skipped;
  return reporter.summary;
}

}  // namespace traincost::bench
