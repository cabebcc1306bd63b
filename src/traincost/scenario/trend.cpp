#include <traincost/scenario/trend.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include <traincost/scenario/random.hpp>
#include <traincost/scenario/simulate.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

constexpr double kMonthsPerYear = 12;

cost::Interval interval(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double p) {
    return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))];
  };
  return {.p5 = at(0.05), .p50 = at(0.5), .p95 = at(0.95)};
}

// The end of the first reported quarter in which the side's largest run, with the methods of its day, is worth `flop`
// of the methods of `as_of`; infinite if none is.
double first_year(const Plan& plan, std::span<const float> rows, Metric metric, double growth, double delay_years,
                  double flop, double as_of) {
  for (int q = 0; q < plan.quarters; ++q) {
    const double end = plan.first_year + (q + 1.0) / kQuarters;
    const double run = rows[static_cast<std::size_t>(q) * kMetricCount + static_cast<std::size_t>(metric)];
    if (run * std::pow(growth, end - delay_years - as_of) >= flop) return end;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

Factor progress_of(std::string_view which) {
  if (which == "essay")
    return {.name = "progress",
            .unit = "x a year",
            .p5 = 3,
            .p50 = 4,
            .p95 = 5,
            .scale = Scale::log,
            .basis = Basis::estimated,
            .source = "the essay: about 4x a year; the spread is assumed"};
  if (which == "epoch")
    return {.name = "progress",
            .unit = "x a year",
            .p5 = 1.81,
            .p50 = 2.83,
            .p95 = 5.28,
            .scale = Scale::log,
            .basis = Basis::fact,
            .source = "Ho et al., arXiv 2403.05812: 2.83x (1.81 to 5.28)"};
  if (which == "both")
    return {.name = "progress",
            .unit = "x a year",
            .p5 = 1.81,
            .p50 = 3.36,
            .p95 = 5.28,
            .scale = Scale::log,
            .basis = Basis::estimated,
            .source = "median between Epoch's 2.83x and the essay's 4x, Epoch's spread"};
  throw InputError(fmt::format("--progress: '{}' (expected essay, epoch or both)", which));
}

TrendAnswer trend(const TrendQuestion& question, std::uint64_t draws, std::uint64_t seed) {
  const auto older = spread(question.older_usd), months = spread(question.months_younger),
             progress = spread(question.progress_per_year), behind = spread(question.behind);
  std::vector<double> actual(draws), expected(draws), excess(draws);
  std::uint64_t cheaper = 0;
  for (std::uint64_t i = 0; i < draws; ++i) {
    std::array<double, 4> z;
    standard_normals(seed, i, z);
    actual[i] = value(older, z[0]) / question.younger_usd;
    expected[i] = std::pow(value(progress, z[2]), value(months, z[1]) / kMonthsPerYear) * value(behind, z[3]);
    excess[i] = actual[i] / expected[i];
    if (excess[i] > 1) ++cheaper;
  }
  return {.actual = interval(std::move(actual)),
          .expected = interval(std::move(expected)),
          .excess = interval(std::move(excess)),
          .share_cheaper_than_trend = static_cast<double>(cheaper) / static_cast<double>(draws)};
}

Affordable affordable(const Plan& plan, double flop, double as_of, std::uint64_t draws, std::uint64_t seed) {
  const auto at = all_quarters(plan);
  std::vector<float> rows(at.size() * kMetricCount);
  std::vector<double> restricted(draws), unrestricted(draws), gap(draws);
  std::uint64_t in_time = 0;
  for (std::uint64_t i = 0; i < draws; ++i) {
    const Knobs knobs = draw(plan, seed, i);
    simulate(plan, knobs, at, rows);
    const double growth = knobs[Knob::algorithmic_growth];
    const double delay = knobs[Knob::follower_delay_months] / kMonthsPerYear;
    restricted[i] = first_year(plan, rows, Metric::run_restricted, growth, delay, flop, as_of);
    unrestricted[i] = first_year(plan, rows, Metric::run_unrestricted, growth, 0, flop, as_of);
    gap[i] = (restricted[i] - unrestricted[i]) * kMonthsPerYear;
    if (std::isnan(gap[i])) gap[i] = std::numeric_limits<double>::infinity();  // neither in the simulated years
    if (std::isfinite(restricted[i])) ++in_time;
  }
  return {.restricted = interval(std::move(restricted)),
          .unrestricted = interval(std::move(unrestricted)),
          .gap_months = interval(std::move(gap)),
          .share_restricted_in_time = static_cast<double>(in_time) / static_cast<double>(draws)};
}

}  // namespace traincost::scenario
