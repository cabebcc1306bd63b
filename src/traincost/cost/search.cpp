#include <traincost/cost/search.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include <traincost/cost/run_budget.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBetweenMerges = std::chrono::milliseconds(20);
constexpr auto kBetweenReports = std::chrono::milliseconds(250);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What one thread has found since it last handed it over.
struct Harvest {
  Front front;
  SearchCounts counts;
  std::vector<std::uint64_t> items;
};

void merge(SearchState& state, Harvest& harvest) {
  state.front.offer(harvest.front);
  state.counts.evaluated += harvest.counts.evaluated;
  state.counts.feasible += harvest.counts.feasible;
  state.counts.pruned += harvest.counts.pruned;
  for (const auto item : harvest.items) state.done[item] = true;
}

// FNV-1a over the bytes of what decides the result.
class Fingerprint {
 public:
  void add(double value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    for (std::size_t i = 0; i < sizeof value; ++i) hash_ = (hash_ ^ bytes[i]) * 1099511628211U;
  }
  [[nodiscard]] std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  std::uint64_t hash_ = 14695981039346656037U;
};

class Search {
 public:
  Search(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency, const Rates& rates,
         const SearchOptions& options, const Constants& constants)
      : space_(space), job_(job), efficiency_(efficiency), rates_(rates), options_(options), constants_(constants) {}

  SearchState run(std::optional<SearchState> from) {
    SearchState state = begin(std::move(from));
    const double spent = state.seconds;
    const auto start = Clock::now();
    std::vector<std::uint64_t> pending;
    for (std::uint64_t item = 0; item < state.done.size(); ++item)
      if (!state.done[item]) pending.push_back(item);

    std::vector<std::thread> threads;
    std::atomic<std::size_t> next{0};
    unsigned running = std::max(1U, options_.threads);
    for (unsigned i = 0, count = running; i < count; ++i)
      threads.emplace_back([&] {
        work(pending, next, start, state);
        const std::scoped_lock lock(mutex_);
        --running;
        changed_.notify_one();
      });
    {
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, kBetweenReports, [&] { return running == 0; })) {
        state.seconds = spent + seconds_since(start);
        if (options_.on_progress) options_.on_progress(state);
      }
    }
    for (auto& thread : threads) thread.join();
    if (error_) std::rethrow_exception(error_);
    state.seconds = spent + seconds_since(start);
    if (options_.on_progress) options_.on_progress(state);
    return state;
  }

 private:
  // The prices of the first items that have any say whether model, chip, calibration and batch are the same.
  [[nodiscard]] std::string fingerprint() const {
    constexpr std::uint64_t kEnough = 100;
    Fingerprint print;
    print.add(static_cast<double>(size(space_)));
    print.add(static_cast<double>(options_.objective));
    print.add(static_cast<double>(options_.keep));
    print.add(rates_.usd_per_gpu_second.value);
    ItemPricer pricer(space_, job_, efficiency_, constants_, options_.prunes);
    std::uint64_t priced = 0;
    for (std::uint64_t item = 0; item < items(space_) && priced < kEnough; ++item)
      pricer.price(item, [&](const PricedLayout& p) {
        ++priced;
        print.add(static_cast<double>(p.index));
        print.add(p.step_seconds);
        print.add(p.memory_bytes);
      });
    return print.text();
  }

  [[nodiscard]] SearchState begin(std::optional<SearchState> from) const {
    const std::string own = fingerprint();
    if (!from)
      return {.fingerprint = own,
              .done = std::vector<bool>(items(space_)),
              .front = Front(options_.objective, options_.keep)};
    if (from->fingerprint != own || from->done.size() != items(space_))
      throw InputError("the state belongs to another search: delete it, or ask the same question");
    return std::move(*from);
  }

  Found found(const PricedLayout& p) const {
    const double gpu_seconds = p.step_seconds * p.gpus;
    const auto power = power_per_gpu(p.busy_fraction, job_.chip, job_.cluster);
    return {.index = p.index,
            .gpus = p.gpus,
            .seconds = p.step_seconds,
            .memory_bytes = p.memory_bytes,
            .usd = gpu_seconds * rates_.usd_per_gpu_second.value,
            .energy_kwh = gpu_seconds * power.value * rates_.power_usage_effectiveness / units::kKilowattHour.value};
  }

  void work(const std::vector<std::uint64_t>& pending, std::atomic<std::size_t>& next, Clock::time_point start,
            SearchState& state) {
    const Harvest empty{.front = Front(options_.objective, options_.keep)};
    try {
      ItemPricer pricer(space_, job_, efficiency_, constants_, options_.prunes);
      Harvest harvest = empty;
      auto merged = Clock::now();
      const auto visit = [&](const PricedLayout& p) {
        ++harvest.counts.evaluated;
        if (!p.fits) return;
        ++harvest.counts.feasible;
        harvest.front.offer(found(p));
      };
      for (std::size_t i = next++; i < pending.size(); i = next++) {
        harvest.counts.pruned += pricer.price(pending[i], visit);
        harvest.items.push_back(pending[i]);
        if (options_.for_seconds && seconds_since(start) > *options_.for_seconds) break;
        if (Clock::now() - merged < kBetweenMerges) continue;
        merged = Clock::now();
        const std::scoped_lock lock(mutex_);
        merge(state, harvest);
        harvest = empty;
      }
      const std::scoped_lock lock(mutex_);
      merge(state, harvest);
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      error_ = std::current_exception();
      next = pending.size();
    }
  }

  const Space& space_;
  const Job& job_;
  const calibrate::ChipEfficiency& efficiency_;
  const Rates& rates_;
  const SearchOptions& options_;
  const Constants& constants_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::exception_ptr error_;
};

}  // namespace

bool SearchState::is_finished() const { return std::find(done.begin(), done.end(), false) == done.end(); }

SearchState search(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency, const Rates& rates,
                   const SearchOptions& options, std::optional<SearchState> state, const Constants& constants) {
  return Search(space, job, efficiency, rates, options, constants).run(std::move(state));
}

std::optional<Layout> fastest(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency,
                              const Constants& constants) {
  ItemPricer pricer(space, job, efficiency, constants, true);
  Front front(Objective::time, 1);
  for (std::uint64_t item = 0; item < items(space); ++item)
    pricer.price(item, [&front](const PricedLayout& p) {
      if (p.fits) front.offer({.index = p.index, .seconds = p.step_seconds, .memory_bytes = p.memory_bytes});
    });
  const auto best = front.best();
  return best.empty() ? std::nullopt : std::optional(layout_at(space, best.front().index));
}

}  // namespace traincost::cost
