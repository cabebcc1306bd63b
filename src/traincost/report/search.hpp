#pragma once

#include <string>
#include <vector>

#include <traincost/cost/search.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {

/// Best layouts and Pareto front of a search. CSV: the front.
std::string search(const cost::SearchState& state, const cost::Space& space, const cost::Job& job, Format format);

/// "1,234 of 5,678 groups of layouts, 12,345 configurations, 9,876 feasible, 1.2 M/s"
std::string search_progress(const cost::SearchState& state);

}  // namespace traincost::report
