#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/calibrate/cross_validate.hpp>
#include <traincost/calibrate/own.hpp>
#include <traincost/catalog/chip.hpp>
#include <traincost/cost/fit_constants.hpp>
#include <traincost/cost/validate_runs.hpp>
#include <traincost/measure/bench_file.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/measure/google_benchmark.hpp>
#include <traincost/measure/quarantine.hpp>
#include <traincost/measure/row_file.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

struct Options {
  std::vector<std::string> rows, only;
  std::string published, steps, out;
  bool cross_validate = false, is_refresh = false;
  report::Format format = report::Format::table;
};

// A line that overwrites itself; silent when nobody watches.
calibrate::Progress progress(const char* what) {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [what](std::size_t done, std::size_t all) {
    std::fprintf(stderr, "\r%s %zu of %zu%s", what, done, all, done == all ? "\n" : "");
  };
}

// Our own file, if it passes its sanity gates; else an InputError that tells all of it.
std::vector<measure::Row> read_own(const std::string& path, const measure::CopyRates& copies) {
  const auto file = measure::read_bench_file(path);
  const auto failed = measure::failed_gates(file, catalog::chips(), copies);
  if (failed.empty()) return measure::rows_of(file);
  for (const auto& line : failed) std::fprintf(stderr, "implausible: %s\n", line.c_str());
  throw InputError(
      fmt::format("{}: {} sanity gates failed, expected none; the first: {}", path, failed.size(), failed.front()));
}

std::vector<measure::Row> read_all(const std::vector<std::string>& paths, const measure::CopyRates& copies) {
  std::vector<measure::Row> rows;
  for (const auto& path : paths)
    for (const auto& file : measure::row_files(path))
      for (auto& row : file.ends_with(".json") ? read_own(file, copies) : measure::read_rows(file))
        rows.push_back(std::move(row));
  return rows;
}

void tell_disagreements(const std::vector<calibrate::Disagreement>& all) {
  constexpr std::size_t kShown = 20;
  if (all.empty()) return;
  std::fprintf(stderr, "sources that disagree by more than %.0f %%: %zu shapes, the worst first\n",
               100 * calibrate::kAgreement, all.size());
  for (std::size_t i = 0; i < std::min(kShown, all.size()); ++i)
    std::fprintf(stderr, "  %s %s %s: %.4g s measured here (%s), %+.0f %% elsewhere (%s, %s)\n",
                 all[i].own.chip.c_str(), work::describe(all[i].own.op).c_str(),
                 std::string(work::to_string(all[i].own.dtype)).c_str(), all[i].own.latency.value,
                 all[i].own.provider.c_str(), 100 * (all[i].ratio() - 1), all[i].other.provider.c_str(),
                 all[i].other.source.c_str());
}

void tell_quarantine(const measure::Screened& screened) {
  for (const auto& [reason, count] : measure::count_by_reason(screened.quarantined)) {
    std::fprintf(stderr, "set aside: %8zu  %s\n", count, reason.c_str());
    for (const auto& q : screened.quarantined) {
      if (q.reason != reason) continue;
      std::fprintf(stderr, "             e.g. %s %s %s: %.4g s (%s)\n", q.row.chip.c_str(),
                   work::describe(q.row.op).c_str(), std::string(work::to_string(q.row.dtype)).c_str(),
                   q.row.latency.value, q.row.provider.c_str());
      break;
    }
  }
}

// The rows of the named operations; all of them when none is named.
std::vector<measure::Row> only(std::vector<measure::Row> rows, const std::vector<std::string>& names) {
  if (names.empty()) return rows;
  std::set<calibrate::Kind> kinds;
  for (const auto& name : names) {
    const auto kind = calibrate::parse_kind(name);
    if (!kind)
      throw InputError(fmt::format("--only: '{}', expected an operation (gemm, attention, moe_mlp, ...)", name));
    kinds.insert(*kind);
  }
  std::erase_if(rows, [&](const measure::Row& row) { return !kinds.contains(calibrate::kind_of(row.op)); });
  return rows;
}

// The chips whose transfer among themselves the acceptance of the calibration asks for.
const std::vector<std::string> kFour{"a100-sxm4-80gb", "h100-sxm5-80gb", "h200-sxm-141gb", "b200-sxm"};

void add_scores(report::Table& table, const char* test, const std::vector<calibrate::Score>& scores) {
  for (const auto& s : scores)
    table.rows.push_back({std::string(test), s.chip, std::string(calibrate::to_string(s.kind)),
                          std::string(work::to_string(s.dtype)), static_cast<double>(s.shapes), 100 * s.median,
                          100 * s.p90, 100 * s.baseline_median, 100 * s.second_median, s.from});
}

report::Table cross_validation(const calibrate::Truths& truths) {
  report::Table table{.columns = {{"test", "left out"},
                                  {"chip", "chip"},
                                  {"kind", "operation"},
                                  {"dtype", "format"},
                                  {"shapes", "shapes"},
                                  {"median_percent", "median %", 1, 1},
                                  {"p90_percent", "90 % quantile, %", 1, 1},
                                  {"one_constant_median_percent", "one constant, median %", 1, 1},
                                  {"second_library_median_percent", "second library, median %", 1, 1},
                                  {"from", "predicted from"}},
                      .rows = {}};
  add_scores(table, "shape", calibrate::leave_shapes_out(truths, catalog::chips(), progress("shapes left out:")));
  add_scores(table, "chip", calibrate::leave_chip_out(truths, catalog::chips(), progress("chips left out:")));
  const auto four = calibrate::among(truths, kFour);
  add_scores(table, "chip, four alone",
             calibrate::leave_chip_out(four, catalog::chips(), progress("one of four left out:")));
  return table;
}

// The shared constants of the cost model from published steps, priced with the embedded surfaces.
void run_steps(const Options& options) {
  if (!options.rows.empty() || options.cross_validate || options.out.empty())
    throw InputError("calibrate --steps: expected -o FILE and no row files");
  const auto rows = cost::run_rows(measure::read_csv(options.steps), calibrate::default_efficiency());
  write_file(options.out, cost::to_json(cost::calibrate_steps(rows, calibrate::default_efficiency())));
}

void run(const Options& options) {
  if (!options.steps.empty()) return run_steps(options);
  if (options.rows.empty())
    throw InputError("calibrate: no row files (scripts/import_aiconfigurator.py writes build/rows)");
  if (options.cross_validate == !options.out.empty())
    throw InputError("calibrate: expected either --cross-validate or -o FILE");
  auto published = options.published.empty() ? measure::Published{} : measure::read_published(options.published);
  const auto copies = measure::copy_rates(published.rows, catalog::chips());
  auto screened = measure::screen(only(read_all(options.rows, copies), options.only), catalog::chips());
  tell_quarantine(screened);
  const auto preferred = calibrate::prefer_own(screened.rows, published.rows);
  tell_disagreements(preferred.disagreements);
  if (options.cross_validate) {
    print(report::render(cross_validation(calibrate::merge(preferred.rows, catalog::chips())), options.format));
    return;
  }
  if (options.is_refresh) {
    write_file(options.out,
               calibrate::to_json(calibrate::refresh(calibrate::default_efficiency(), preferred, catalog::chips())));
    return;
  }
  published.rows.insert(published.rows.end(), preferred.ratios.begin(), preferred.ratios.end());
  const auto fitted = calibrate::fit(preferred.rows, catalog::chips(), published, progress("surfaces:"));
  if (fitted.fitted().surfaces.empty()) throw InputError("calibrate: no row of a known chip, nothing to fit");
  write_file(options.out, calibrate::to_json(fitted));
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  auto* command = add_command(
      app, "calibrate", "Fit efficiency surfaces to kernel timings, or test such fits on what they have not seen.",
      "  traincost calibrate build/rows --published results/published/kernels.csv -o default.json\n"
      "  traincost calibrate --cross-validate build/rows\n"
      "  traincost calibrate --refresh results/measured/h100-sxm5-80gb -o refreshed.json\n"
      "  traincost calibrate --steps results/published/runs.csv -o step.json");
  command->add_option("ROWS", options->rows, "row files (CSV), benchmark results (JSON), or folders of them");
  command->add_option("--published", options->published,
                      "published kernel figures (CSV): backward passes, narrow heads, streams");
  command->add_option("--steps", options->steps,
                      "published training steps (CSV): fit the constants that all runs share");
  command->add_option("-o,--out", options->out, "file to write");
  command->add_flag("--cross-validate", options->cross_validate,
                    "leave out shapes, then chips; print errors beside one constant per operation and format");
  command->add_flag("--refresh", options->is_refresh,
                    "move the shipped surfaces to benchmark results instead of fitting all of them anew");
  command->add_option("--only", options->only, "operations to take: gemm,attention,attention_mla,moe_mlp,...")
      ->delimiter(',');
  add_format(*command, options->format);
  command->callback([options] { run(*options); });
}

}  // namespace traincost::app
