#include <traincost/scenario/monte_carlo.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <exception>
#include <mutex>
#include <thread>

#include <traincost/scenario/checkpoint.hpp>

namespace traincost::scenario {
namespace {

constexpr std::uint64_t kChunk = 4096;  // draws: a tenth of a second, so that little is lost and progress is smooth

std::uint64_t chunk_count(std::uint64_t draws) { return (draws + kChunk - 1) / kChunk; }

// One row per draw: metrics of every reported quarter, then who reaches.
std::size_t row_size(const std::vector<int>& at) { return at.size() * kMetricCount + 2; }

void draw_chunk(const Plan& plan, const std::vector<int>& at, const MonteCarlo& how, std::uint64_t chunk,
                std::span<float> rows) {
  const std::size_t size = row_size(at);
  for (std::uint64_t i = 0; i * size < rows.size(); ++i) {
    const auto row = rows.subspan(i * size, size);
    const Reach reach = simulate(plan, draw(plan, how.seed, chunk * kChunk + i), at, row.first(size - 2));
    row[size - 2] = reach.restricted ? 1.0F : 0.0F;
    row[size - 1] = reach.unrestricted ? 1.0F : 0.0F;
  }
}

// Linear between order statistics.
double quantile(std::vector<float>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  const double a = sorted[below], b = sorted[above];
  return a == b ? a : a + (b - a) * (at - static_cast<double>(below));
}

cost::Interval interval(std::vector<float>& values) {
  std::ranges::sort(values);
  return {.p5 = quantile(values, 0.05), .p50 = quantile(values, 0.5), .p95 = quantile(values, 0.95)};
}

void summarise(const std::vector<float>& rows, Outcome& outcome) {
  const std::size_t size = row_size(outcome.at);
  std::vector<float> column(outcome.draws);
  outcome.quantiles.resize(outcome.at.size());
  for (std::size_t i = 0; i < outcome.at.size() * kMetricCount; ++i) {
    for (std::uint64_t d = 0; d < outcome.draws; ++d) column[d] = rows[d * size + i];
    outcome.quantiles[i / kMetricCount][i % kMetricCount] = interval(column);
  }
  const double each = 1.0 / static_cast<double>(outcome.draws);
  for (std::uint64_t d = 0; d < outcome.draws; ++d) {
    const bool r = rows[d * size + size - 2] > 0, u = rows[d * size + size - 1] > 0;
    (r && u ? outcome.both : r ? outcome.only_restricted : u ? outcome.only_unrestricted : outcome.neither) += each;
  }
}

void play_medians(const Plan& plan, Outcome& outcome) {
  std::vector<float> row(outcome.at.size() * kMetricCount);
  simulate(plan, medians(plan), outcome.at, row);
  outcome.at_medians.resize(outcome.at.size());
  for (std::size_t i = 0; i < row.size(); ++i) outcome.at_medians[i / kMetricCount][i % kMetricCount] = row[i];
}

}  // namespace

Outcome run(const Plan& plan, const std::vector<int>& at, const MonteCarlo& how, std::uint64_t fingerprint) {
  const std::size_t size = row_size(at);
  const std::uint64_t chunks = chunk_count(how.draws);
  std::vector<float> rows(how.draws * size);
  const auto rows_of = [&](std::uint64_t chunk) {
    const std::uint64_t first = chunk * kChunk, last = std::min(first + kChunk, how.draws);
    return std::span{rows}.subspan(first * size, (last - first) * size);
  };
  Checkpoint checkpoint(how.checkpoint, {.fingerprint = fingerprint,
                                         .seed = how.seed,
                                         .draws = how.draws,
                                         .row_size = size,
                                         .chunks = chunks,
                                         .chunk_draws = kChunk});
  std::vector<std::uint64_t> pending;
  std::uint64_t loaded = 0;
  for (std::uint64_t c = 0; c < chunks; ++c) {
    if (checkpoint.load(c, rows_of(c)))
      loaded += rows_of(c).size() / size;
    else
      pending.push_back(c);
  }

  Outcome outcome{.at = at, .draws = how.draws};
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < pending.size(); i = next++) {
        const auto chunk_rows = rows_of(pending[i]);
        draw_chunk(plan, at, how, pending[i], chunk_rows);
        const std::scoped_lock lock(mutex);
        checkpoint.store(pending[i], chunk_rows);
        outcome.drawn_now += chunk_rows.size() / size;
        if (how.progress) how.progress(loaded + outcome.drawn_now, how.draws);
      }
    } catch (...) {
      const std::scoped_lock lock(mutex);
      failure = std::current_exception();
      next = pending.size();
    }
  };
  const std::clock_t start = std::clock();
  {
    const unsigned threads = how.threads > 0 ? how.threads : std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::jthread> pool;
    for (unsigned t = 1; t < threads; ++t) pool.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
  outcome.cpu_seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  summarise(rows, outcome);
  play_medians(plan, outcome);
  return outcome;
}

std::uint64_t fingerprint(const Scenario& scenario, const Plan& plan) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, 64 bits
  const auto add = [&](const void* bytes, std::size_t size) {
    const auto* p = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ p[i]) * 0x100000001b3ULL;
  };
  add(scenario.text.data(), scenario.text.size());
  for (const auto& side : plan.offers)
    for (const auto& quarter : side)
      for (const auto& offer : quarter)
        for (const double x : {offer.usd, offer.rate, offer.per_quarter, offer.open}) add(&x, sizeof x);
  return hash;
}

std::vector<Swing> tornado(const Plan& plan, Metric metric, int quarter) {
  constexpr double kZ95 = 1.6448536269514722;
  const std::vector<int> at{quarter};
  const auto play = [&](Knob knob, double z) {
    std::array<float, kMetricCount> row{};
    simulate(plan, with(plan, knob, z), at, row);
    return static_cast<double>(row[static_cast<std::size_t>(metric)]);
  };
  std::vector<Swing> swings;
  for (std::size_t i = 0; i < kKnobCount; ++i) {
    const auto knob = static_cast<Knob>(i);
    swings.push_back({knob, play(knob, -kZ95), play(knob, kZ95)});
  }
  std::ranges::stable_sort(swings, std::ranges::greater{}, [](const Swing& s) { return std::abs(s.high - s.low); });
  return swings;
}

}  // namespace traincost::scenario
