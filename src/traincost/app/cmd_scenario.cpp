#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/scenario/job_rate.hpp>
#include <traincost/scenario/monte_carlo.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;
using report::Section;
using report::Table;

struct Options {
  std::vector<std::string> files;
  std::optional<double> draws = 20000, seed, threads, year;
  std::string checkpoint, rates = "cost";
  bool is_quarterly = false, is_quiet = false;
  report::Format format = report::Format::table;
};

struct Played {
  Scenario scenario;
  Plan plan;
  Outcome outcome;
  std::vector<std::string> rates;
};

void show_progress(std::uint64_t done, std::uint64_t all) {
  std::fprintf(stderr, "\r%llu of %llu draws", static_cast<unsigned long long>(done),
               static_cast<unsigned long long>(all));
  if (done >= all) std::fprintf(stderr, "\n");
}

Played play(const std::string& file, const Options& options) {
  Played played{.scenario = read_scenario(file)};
  const auto job = options.rates == "data-sheet" ? data_sheet_job_rate() : cost_job_rate(played.scenario.job);
  played.plan = plan(played.scenario, catalog::chips(), job.rate);
  played.rates = describe(job, played.scenario, catalog::chips());
  MonteCarlo how{.draws = static_cast<std::uint64_t>(options.draws.value_or(0)),
                 .seed = static_cast<std::uint64_t>(options.seed.value_or(1)),
                 .threads = static_cast<unsigned>(options.threads.value_or(0))};
  if (!options.checkpoint.empty()) how.checkpoint = options.checkpoint;
  if (!options.is_quiet) how.progress = show_progress;
  const auto at = options.is_quarterly ? all_quarters(played.plan) : year_ends(played.plan);
  played.outcome = run(played.plan, at, how, fingerprint(played.scenario, played.plan));
  if (!options.is_quiet && played.outcome.drawn_now > 0)
    std::fprintf(stderr, "%.0f draws per second and core\n",
                 static_cast<double>(played.outcome.drawn_now) / played.outcome.cpu_seconds);
  return played;
}

struct Unit {
  Metric metric;
  double per;
  int decimals;
  const char* name;
};
constexpr Unit kUnits[] = {
    {Metric::lag_months, 1, 1, "months"},
    {Metric::cost_ratio, 1, 2, ""},
    {Metric::share, 0.01, 1, "%"},
    {Metric::run_restricted, 1e24, 1, "1e24 FLOP"},
    {Metric::run_unrestricted, 1e24, 1, "1e24 FLOP"},
    {Metric::fleet_job_h100, 1e3, 0, "thousand"},
    {Metric::legal_job_h100, 1e3, 0, "thousand"},
    {Metric::grey_job_h100, 1e3, 0, "thousand"},
    {Metric::domestic_job_h100, 1e3, 0, "thousand"},
    {Metric::fleet_chips, 1e3, 0, "thousand"},
    {Metric::fleet_tpp, 1e9, 1, "billion"},
    {Metric::fleet_h100e, 1e3, 0, "thousand"},
    {Metric::unrestricted_h100e, 1e3, 0, "thousand"},
    {Metric::unrestricted_job_h100, 1e3, 0, "thousand"},
};

const cost::Interval& quantiles(const Outcome& outcome, std::size_t row, Metric metric) {
  return outcome.quantiles[row][static_cast<std::size_t>(metric)];
}

Section by_period(const Played& p, const Unit& unit, bool is_quarterly) {
  const auto column = [&](const char* name) { return report::Column{name, name, unit.per, unit.decimals}; };
  Table table{.columns = {{"period", "period"}, column("p5"), column("p50"), column("p95"), column("at_medians")},
              .rows = {}};
  for (std::size_t i = 0; i < p.outcome.at.size(); ++i) {
    const auto& q = quantiles(p.outcome, i, unit.metric);
    table.rows.push_back({quarter_name(p.plan, p.outcome.at[i], !is_quarterly), q.p5, q.p50, q.p95,
                          p.outcome.at_medians[i][static_cast<std::size_t>(unit.metric)]});
  }
  const std::string name{title(unit.metric)};
  return {std::string{to_string(unit.metric)}, *unit.name ? fmt::format("{}, {}", name, unit.name) : name, table};
}

Table long_form(const std::vector<Played>& all, bool is_quarterly) {
  Table table{.columns = {{"scenario", "scenario"},
                          {"metric", "metric"},
                          {"period", "period"},
                          {"p5", "p5"},
                          {"p50", "p50"},
                          {"p95", "p95"},
                          {"at_medians", "at medians"}},
              .rows = {}};
  for (const auto& p : all)
    for (const auto& unit : kUnits)
      for (std::size_t i = 0; i < p.outcome.at.size(); ++i) {
        const auto& q = quantiles(p.outcome, i, unit.metric);
        table.rows.push_back({p.scenario.title, std::string{to_string(unit.metric)},
                              quarter_name(p.plan, p.outcome.at[i], !is_quarterly), q.p5, q.p50, q.p95,
                              p.outcome.at_medians[i][static_cast<std::size_t>(unit.metric)]});
      }
  return table;
}

int quarter_asked_for(const Played& p, const Options& options) {
  const double year = options.year.value_or(static_cast<int>(p.scenario.frontier.by.year()));
  const int quarter = (static_cast<int>(year) - p.plan.first_year) * kQuarters + kQuarters - 1;
  if (quarter < 0 || quarter >= p.plan.quarters) throw InputError(fmt::format("--year: {} is not simulated", year));
  return quarter;
}

std::size_t row_of(const Played& p, int quarter) {
  return static_cast<std::size_t>(std::ranges::find(p.outcome.at, quarter) - p.outcome.at.begin());
}

Section head(const Played& p, const Options& options) {
  Table table{.columns = {{"scenario", "scenario"},
                          {"draws", "draws"},
                          {"seed", "seed"},
                          {"frontier_h100", "the run in question, H100"},
                          {"frontier_by", "by"},
                          {"both", "both sides reach it, % of draws", 0.01, 1},
                          {"only_unrestricted", "only the unrestricted, %", 0.01, 1},
                          {"only_restricted", "only the restricted, %", 0.01, 1},
                          {"neither", "neither, %", 0.01, 1}},
              .rows = {}};
  table.rows.push_back({p.scenario.title, static_cast<double>(p.outcome.draws), options.seed.value_or(1),
                        p.scenario.frontier.h100, to_string(p.scenario.frontier.by), p.outcome.both,
                        p.outcome.only_unrestricted, p.outcome.only_restricted, p.outcome.neither});
  return {"scenario", "", table, true};
}

Section swings(const Played& p, int quarter) {
  constexpr std::size_t kShown = 12;
  Table table{.columns = {{"factor", "factor"},
                          {"at_p5", "lag at its 5 %", 1, 1},
                          {"at_p95", "lag at its 95 %", 1, 1},
                          {"swing", "swing, months", 1, 1}},
              .rows = {}};
  for (const auto& s : tornado(p.plan, Metric::lag_months, quarter)) {
    if (table.rows.size() == kShown) break;
    table.rows.push_back({std::string{to_string(s.knob)}, s.low, s.high, std::abs(s.high - s.low)});
  }
  return {"tornado", fmt::format("What moves the lag of {}", quarter_name(p.plan, quarter, true)), table};
}

Section comparison(const std::vector<Played>& all, const Options& options) {
  Table table{.columns = {{"scenario", "scenario"},
                          {"fleet_job_h100", "fleet, 1000 H100 in the job", 1e3, 0},
                          {"run_restricted_flop", "largest run, 1e24 FLOP", 1e24, 1},
                          {"cost_ratio", "cost ratio", 1, 2},
                          {"lag_months_p5", "lag p5", 1, 1},
                          {"lag_months_p50", "lag p50", 1, 1},
                          {"lag_months_p95", "lag p95", 1, 1},
                          {"share", "share, %", 0.01, 1},
                          {"both", "both reach, %", 0.01, 1},
                          {"only_unrestricted", "only the other, %", 0.01, 1}},
              .rows = {}};
  for (const auto& p : all) {
    const auto row = row_of(p, quarter_asked_for(p, options));
    const auto& lag = quantiles(p.outcome, row, Metric::lag_months);
    const auto median = [&](Metric metric) { return quantiles(p.outcome, row, metric).p50; };
    table.rows.push_back({p.scenario.title, median(Metric::fleet_job_h100), median(Metric::run_restricted),
                          median(Metric::cost_ratio), lag.p5, lag.p50, lag.p95, median(Metric::share), p.outcome.both,
                          p.outcome.only_unrestricted});
  }
  const int year = all[0].plan.first_year + quarter_asked_for(all[0], options) / kQuarters;
  return {"comparison", fmt::format("The restricted side at the end of {} (medians; lag with 5 % and 95 %)", year),
          table};
}

std::vector<Section> single(const Played& p, const Options& options) {
  std::vector<Section> sections{head(p, options)};
  for (const auto& unit : kUnits) sections.push_back(by_period(p, unit, options.is_quarterly));
  sections.push_back(swings(p, quarter_asked_for(p, options)));
  sections.push_back(report::notes("rates", "Throughput of the chips in the job", p.rates));
  sections.push_back(report::notes("assumptions", "Assumptions", assumptions(p.scenario)));
  return sections;
}

std::vector<Section> several(const std::vector<Played>& all, const Options& options) {
  return {comparison(all, options), report::notes("rates", "Throughput of the chips in the job", all[0].rates),
          report::notes("assumptions", fmt::format("Assumptions of '{}'", all[0].scenario.title),
                        assumptions(all[0].scenario))};
}

void run_command(const Options& options) {
  if (options.rates != "cost" && options.rates != "data-sheet")
    throw InputError(fmt::format("--rates: '{}' (expected cost or data-sheet)", options.rates));
  constexpr double kMostDraws = 2e6;  // a quarter of a gigabyte by years
  const double draws = options.draws.value_or(0);
  if (draws > kMostDraws) throw InputError(fmt::format("--draws: {} (at most {})", draws, kMostDraws));
  if (!options.checkpoint.empty() && options.files.size() > 1) throw InputError("--checkpoint: one scenario at a time");
  std::vector<Played> all;
  all.reserve(options.files.size());
  for (const auto& file : options.files) all.push_back(play(file, options));
  if (options.format == report::Format::csv) return print(report::csv(long_form(all, options.is_quarterly)));
  print(report::render(all.size() == 1 ? single(all[0], options) : several(all, options), options.format));
}

}  // namespace

void add_scenario(CLI::App& app) {
  auto options = std::make_shared<Options>();
  auto* command =
      add_command(app, "scenario", "Fleets, runs and the lag of a restricted buyer over time, with quantiles",
                  "  traincost scenario scenarios/rules-as-they-were.toml --draws 2000\n"
                  "  traincost scenario scenarios/no-controls.toml scenarios/full-enforcement.toml "
                  "--draws 2000 --year 2027");
  command->add_option("file", options->files, "scenario files; several make a comparison")->required();
  add_count(*command, "--draws", options->draws, "Monte Carlo draws (default 20000)");
  add_count(*command, "--seed", options->seed, "the same seed gives the same answer at any thread count (default 1)");
  add_count(*command, "--threads", options->threads, "default: all cores");
  add_count(*command, "--year", options->year,
            "of the comparison and the tornado (default: the year of the run in question)");
  command->add_option("--checkpoint", options->checkpoint, "keep finished draws in this file and go on from it");
  command->add_option("--rates", options->rates, "throughput of chips: cost (the cost model) or data-sheet");
  command->add_flag("--quarterly", options->is_quarterly, "report every quarter");
  command->add_flag("--quiet", options->is_quiet, "no progress on stderr");
  add_format(*command, options->format);
  command->callback([options] { run_command(*options); });
}

}  // namespace traincost::app
