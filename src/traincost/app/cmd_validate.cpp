#include <memory>

#include <traincost/app/command.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/catalog/chip.hpp>
#include <traincost/cost/validate_kernels.hpp>
#include <traincost/cost/validate_runs.hpp>
#include <traincost/cost/validate_trace.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/report/validation.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

struct Options {
  std::string runs, kernels, trace, calibration;
  bool cross_validate = false;
  report::Format format = report::Format::table;
};

// The rows whose configuration is all but complete, or has few gaps.
calibrate::ErrorSummary tiers_a_and_b(const std::vector<cost::RunRow>& runs, const calibrate::Validation& validation) {
  std::vector<calibrate::ValidationRow> rows;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (runs[i].tier == "A" || runs[i].tier == "B") rows.push_back(validation.rows[i]);
  return calibrate::summarise(rows);
}

std::string run_kernels(const Options& o) {
  const auto table = measure::read_csv(o.kernels);
  const auto efficiency = efficiency_of(o.calibration);
  return report::validation(cost::validate_kernels(table, catalog::chips(), efficiency), {}, o.format);
}

std::string run_runs(const Options& o) {
  const auto table = measure::read_csv(o.runs);
  const auto efficiency = efficiency_of(o.calibration);
  const auto runs = cost::run_rows(table, efficiency);
  if (!o.cross_validate) {
    const auto validation = cost::validate_runs(runs, efficiency);
    return report::validation(validation, {{"tiers A and B", tiers_a_and_b(runs, validation)}}, o.format);
  }
  const auto crossed = cost::cross_validate(runs, efficiency);
  return report::validation(crossed.ours,
                            {{"tiers A and B", tiers_a_and_b(runs, crossed.ours)},
                             {"one MFU per chip, precision and kind", crossed.one_mfu.summary},
                             {"one MFU, tiers A and B", tiers_a_and_b(runs, crossed.one_mfu)}},
                            o.format);
}

std::string run_trace(const Options& o) {
  return report::validation(cost::validate_trace(measure::read_csv(o.trace), efficiency_of(o.calibration)), {},
                            o.format);
}

std::string run(const Options& o) {
  if (o.runs.empty() + o.kernels.empty() + o.trace.empty() != 2)
    throw InputError("exactly one of --runs, --kernels and --trace is required");
  if (o.cross_validate && o.runs.empty()) throw InputError("--cross-validate goes with --runs");
  if (!o.trace.empty()) return run_trace(o);
  return o.runs.empty() ? run_kernels(o) : run_runs(o);
}

}  // namespace

void add_validate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = add_command(app, "validate", "Predictions beside published figures, row by row, and their errors",
                                  "  traincost validate --runs results/published/runs.csv\n"
                                  "  traincost validate --kernels results/published/kernels.csv\n"
                                  "  traincost validate --kernels results/published/kernels.csv --format json\n"
                                  "  traincost validate --trace results/published/deepseek_v3_trace.csv --format csv");
  command->add_option("--runs", o->runs, "published training steps and runs, a CSV file");
  command->add_option("--kernels", o->kernels, "published kernel figures, a CSV file");
  command->add_option("--trace", o->trace, "DeepSeek's trace of DeepSeek-V3, kernel by kernel, a CSV file");
  command->add_option("--calibration", o->calibration, "efficiency surfaces from `traincost calibrate`, a JSON file");
  command->add_flag("--cross-validate", o->cross_validate,
                    "predict each family with constants fitted without it, beside one fitted MFU");
  add_format(*command, o->format);
  command->callback([o] { print(run(*o)); });
}

}  // namespace traincost::app
