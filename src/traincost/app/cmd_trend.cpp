#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/scenario/job_rate.hpp>
#include <traincost/scenario/trend.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;
using report::Cell;
using report::Section;
using report::Table;

struct Options {
  // A Claude 3.5 Sonnet-class run: a few tens of millions of dollars; DeepSeek-V3: 7 to 10 months younger, "about twice
  // behind" the frontier of a year before (all three from the essay).
  std::vector<double> older_usd{10e6, 31e6, 99e6}, months{7, 8.5, 10}, behind{1.5, 2, 2.7};
  std::optional<double> younger_usd = 5.576e6, draws = 20000, seed = 1, flop;
  std::string progress = "both", scenario, as_of = "2025-01-01";
  report::Format format = report::Format::table;
};

Factor factor(const char* name, const char* option, const std::vector<double>& q, const char* source) {
  if (q.size() != 3) throw InputError(fmt::format("{}: expected three numbers, the 5, 50 and 95 % quantiles", option));
  return {.name = name,
          .p5 = q[0],
          .p50 = q[1],
          .p95 = q[2],
          .scale = Scale::log,
          .basis = Basis::estimated,
          .source = source};
}

void add(Table& table, const char* name, const cost::Interval& i) { table.rows.push_back({name, i.p5, i.p50, i.p95}); }

std::string line(const Factor& f) {
  return fmt::format("{}: {} ({} to {}) [{}] {}", f.name, f.p50, f.p5, f.p95, to_string(f.basis), f.source);
}

std::vector<Section> on_trend(const Options& o) {
  const TrendQuestion q{
      .older_usd = factor("older run, USD", "--older-usd", o.older_usd, "the essay: a few tens of millions"),
      .months_younger = factor("months younger", "--months", o.months, "the essay: 7 to 10 months"),
      .progress_per_year = progress_of(o.progress),
      .behind = factor("behind, x", "--behind", o.behind, "the essay: about 2x; the spread is assumed"),
      .younger_usd = o.younger_usd.value_or(0)};
  const auto a =
      trend(q, static_cast<std::uint64_t>(o.draws.value_or(0)), static_cast<std::uint64_t>(o.seed.value_or(0)));
  Table table{.columns = {{"ratio", "older / younger run, cost"},
                          {"p5", "5 %", 1, 2},
                          {"p50", "50 %", 1, 2},
                          {"p95", "95 %", 1, 2}},
              .rows = {}};
  add(table, "as it was", a.actual);
  add(table, "on trend", a.expected);
  add(table, "as it was / on trend", a.excess);
  Table verdict{.columns = {{"younger_usd", "younger run, USD million", 1e6, 3},
                            {"share_cheaper_than_trend", "cheaper than the trend, % of draws", 0.01, 1}},
                .rows = {{o.younger_usd.value_or(0), a.share_cheaper_than_trend}}};
  return {{"trend", "", table},
          {"verdict", "", verdict, true},
          report::notes("assumptions", "Assumptions",
                        {line(q.older_usd), line(q.months_younger), line(q.progress_per_year), line(q.behind)})};
}

// The quarter that ends at `y`; infinite: not within the simulated years.
Cell quarter(double y) {
  if (!std::isfinite(y)) return std::string{"later"};
  const int quarters = static_cast<int>(std::lround(y * kQuarters)) - 1;
  return fmt::format("{}Q{}", quarters / kQuarters, quarters % kQuarters + 1);
}

Cell months(double m) { return std::isfinite(m) ? Cell{m} : Cell{}; }

std::vector<Section> when_affordable(const Options& o) {
  if (!o.flop) throw InputError("--scenario needs --flop, the compute of the capability with the methods of --as-of");
  const auto s = read_scenario(o.scenario);
  const auto job = cost_job_rate(s.job);
  const auto p = plan(s, catalog::chips(), job.rate);
  const auto a =
      affordable(p, *o.flop, year_fraction(parse_date(o.as_of, "--as-of")),
                 static_cast<std::uint64_t>(o.draws.value_or(0)), static_cast<std::uint64_t>(o.seed.value_or(0)));
  Table table{.columns = {{"side", "side"}, {"p5", "5 %"}, {"p50", "50 %"}, {"p95", "95 %"}}, .rows = {}};
  const auto row = [&](const char* name, const cost::Interval& i) {
    table.rows.push_back({name, quarter(i.p5), quarter(i.p50), quarter(i.p95)});
  };
  row("restricted", a.restricted);
  row("unrestricted", a.unrestricted);
  Table gap{.columns = {{"gap_months_p5", "gap in months, 5 %", 1, 1},
                        {"gap_months_p50", "50 %", 1, 1},
                        {"gap_months_p95", "95 %", 1, 1},
                        {"share_restricted_in_time", "draws in which the restricted side gets there, %", 0.01, 1}},
            .rows = {{months(a.gap_months.p5), months(a.gap_months.p50), months(a.gap_months.p95),
                      a.share_restricted_in_time}}};
  return {{"affordable",
           fmt::format("{}: quarter in which a run of {:.3g} FLOP (methods of {}) is the largest of a side", s.title,
                       *o.flop, o.as_of),
           table},
          {"gap", "", gap, true},
          report::notes("assumptions", "Assumptions", assumptions(s))};
}

void run(const Options& o) { print(report::render(o.scenario.empty() ? on_trend(o) : when_affordable(o), o.format)); }

}  // namespace

void add_trend(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = add_command(
      app, "trend", "Was a run cheaper than the trend, and when does a capability become affordable",
      "  traincost trend\n"
      "  traincost trend --progress epoch\n"
      "  traincost trend --scenario scenarios/rules-as-they-were.toml --flop 3e26 --as-of 2025-01-01 --draws 500");
  add_positive(*command, "--younger-usd", o->younger_usd, "cost of the younger run (default DeepSeek-V3: 5.576e6)");
  command->add_option("--older-usd", o->older_usd, "cost of the older run: 5, 50 and 95 % quantile")->expected(3);
  command->add_option("--months", o->months, "that the younger is younger: 5, 50 and 95 % quantile")->expected(3);
  command->add_option("--behind", o->behind, "by how much the younger is behind, in cost: three quantiles")
      ->expected(3);
  command->add_option("--progress", o->progress, "fall of the cost per year: essay, epoch or both");
  command->add_option("--scenario", o->scenario,
                      "whose fleets: with --flop, the year in which each side can afford it");
  add_positive(*command, "--flop", o->flop, "compute of the capability with the methods of --as-of");
  command->add_option("--as-of", o->as_of, "day of those methods (default 2025-01-01)");
  add_count(*command, "--draws", o->draws, "default 20000");
  add_count(*command, "--seed", o->seed, "default 1");
  add_format(*command, o->format);
  command->callback([o] { run(*o); });
}

}  // namespace traincost::app
