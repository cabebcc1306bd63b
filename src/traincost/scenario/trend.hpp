#pragma once

#include <cstdint>
#include <string>

#include <traincost/cost/interval.hpp>
#include <traincost/scenario/factor.hpp>
#include <traincost/scenario/plan.hpp>

namespace traincost::scenario {

/// A run against an older one of about the same quality. Quality: what the younger one is behind by, in cost.
struct TrendQuestion {
  Factor older_usd, months_younger, progress_per_year, behind;
  double younger_usd = 0;
};

/// Ratios of cost, older / younger: 5, 50 and 95 %.
struct TrendAnswer {
  cost::Interval actual, expected, excess;  // excess = actual / expected: above 1, cheaper than the trend
  double share_cheaper_than_trend = 0;
};
TrendAnswer trend(const TrendQuestion& question, std::uint64_t draws, std::uint64_t seed);

/// The essay's and Epoch's estimates of the yearly fall in the cost of the same result.
Factor progress_of(std::string_view which);  // "essay", "epoch", "both"; throws InputError

/// Years in which each side of a scenario can first make a run that took `flop` with the methods of `as_of`.
struct Affordable {
  cost::Interval restricted, unrestricted, gap_months;
  double share_restricted_in_time = 0;  // of draws in which the restricted side gets there within the simulated years
};
Affordable affordable(const Plan& plan, double flop, double as_of, std::uint64_t draws, std::uint64_t seed);

}  // namespace traincost::scenario
