#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <traincost/cost/front.hpp>
#include <traincost/cost/item_pricer.hpp>

namespace traincost::cost {

/// What a GPU-second and a busy share cost, for dollars and energy of a step.
struct Rates {
  units::DollarsPerSecond usd_per_gpu_second;
  double power_usage_effectiveness = 1;
};

struct SearchCounts {
  std::uint64_t evaluated = 0, feasible = 0;  // priced whole; of them, those that fit into the memory
  std::uint64_t pruned = 0;                   // not priced: no layout of their pipeline fits
};

/// How far a search is; enough to go on from.
struct SearchState {
  std::string fingerprint;  // of the question: space, prices and memory of its first layouts
  std::vector<bool> done;   // [items]
  SearchCounts counts;
  double seconds = 0;  // spent
  Front front{Objective::time, 0};

  [[nodiscard]] bool is_finished() const;
};

struct SearchOptions {
  Objective objective = Objective::time;
  std::size_t keep = 10;  // best layouts
  unsigned threads = 1;
  bool prunes = true;
  std::optional<double> for_seconds;                    // then it stops, unfinished
  std::function<void(const SearchState&)> on_progress;  // a few times a second
};

/// Exhaustive: prices every possible layout of the space. Goes on from `state` where one is given; throws InputError if
/// that belongs to another search. The result does not depend on threads and interruptions.
SearchState search(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency, const Rates& rates,
                   const SearchOptions& options, std::optional<SearchState> state = std::nullopt,
                   const Constants& constants = default_constants());

/// The fastest layout that fits; nullopt if none does.
std::optional<Layout> fastest(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency,
                              const Constants& constants = default_constants());

std::string to_json(const SearchState& state);
SearchState search_state_from_json(std::string_view json, const std::string& origin);  // throws InputError

}  // namespace traincost::cost
