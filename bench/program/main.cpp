#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include <traincost/measure/bench_file.hpp>
#include <traincost/units/error.hpp>

#include <bench/program/backend.hpp>
#include <bench/program/jobs.hpp>
#include <bench/run.hpp>
#include <bench/wall_time.hpp>

namespace traincost::bench {
namespace {

enum Exit { kDone = 0, kFailedRows = 1, kBadInput = 2, kNoDevice = 3, kInterrupted = 4 };

struct Options {
  std::string filter, chip, out, commit = "unknown";
  bool is_quick = false, is_full = false, is_list = false;
  double budget_s = 0, limit_s = 0;
};

volatile std::sig_atomic_t is_interrupted = 0;

void tell(const std::string& line) { fmt::print(stderr, "{}\n", line); }

const catalog::Chip& chip_of(const Options& options, Backend* backend) {
  const auto name = !options.chip.empty() || backend == nullptr ? options.chip : backend->device_name();
  const auto* chip = catalog::find_chip(catalog::chips(), name);
  if (chip == nullptr) throw InputError(fmt::format("--chip: '{}', expected a chip of the catalogue", name));
  return *chip;
}

// Half a second a row keeps the quick set under ten minutes; the full one has a night.
Rule rule_of(const Options& options) {
  const double limit = options.limit_s > 0 ? options.limit_s : options.is_full ? 3 : 0.3;
  return {.time_limit = {limit}};
}

Settings settings_of(const Options& options) {
  Settings s{.rule = rule_of(options),
             .budget = {},
             .now = wall_time,
             .is_interrupted = [] { return is_interrupted != 0; },
             .tell = tell};
  if (options.budget_s > 0) s.budget = units::Seconds{options.budget_s};
  return s;
}

// What the rows of one file must share.
const std::set<std::string> kSame{"chip", "device_uuid", "driver", "cuda", "commit", "simulated"};

int report(const Summary& summary, const Options& options, bool is_simulated) {
  tell(fmt::format("{}: {} rows timed, {} failed, {} skipped, {} left", options.out, summary.timed, summary.wrong,
                   summary.skipped, summary.left));
  if (!is_simulated)
    for (const auto& line : measure::failed_gates(measure::read_bench_file(options.out), catalog::chips(), {}))
      tell("implausible: " + line);
  if (summary.left > 0) return kInterrupted;
  std::filesystem::remove(options.out + ".partial");
  return summary.wrong > 0 ? kFailedRows : kDone;
}

std::vector<Job> chosen_jobs(const Options& options, const catalog::Chip& chip, Backend* backend) {
  return choose(jobs(kernels::cases(), chip, backend),
                {.filter = options.filter, .is_quick = options.is_quick && !options.is_full});
}

// `backend` may be nullptr: the catalogue and the floors need no card.
int list(const Options& options, Backend* backend) {
  const auto& chip = chip_of(options, backend);
  fmt::print("{}", listing(chosen_jobs(options, chip, backend), chip.id));
  return kDone;
}

int measure_all(const Options& options, Backend& backend) {
  const auto& chip = chip_of(options, &backend);
  Context context = backend.context();
  context["chip"] = chip.id;
  context["commit"] = options.commit;
  if (options.out.empty()) throw InputError("--out: expected a file for the results");
  Journal journal(options.out + ".partial", context, kSame);
  const auto summary = run(chosen_jobs(options, chip, &backend), journal, settings_of(options));
  journal.write_results(options.out);
  return report(summary, options, context.contains("simulated"));
}

int run_program(const Options& options) {
  try {
    if (options.is_list && !options.chip.empty()) return list(options, nullptr);
    const auto backend = make_backend();
    return options.is_list ? list(options, backend.get()) : measure_all(options, *backend);
  } catch (const NoDevice& error) {
    fmt::print(stderr, "traincost_bench: no NVIDIA GPU: {}\n", error.what());
    return kNoDevice;
  } catch (const std::exception& error) {
    fmt::print(stderr, "traincost_bench: {}\n", error.what());
    return kBadInput;
  }
}

}  // namespace
}  // namespace traincost::bench

int main(int argc, char** argv) {
  using namespace traincost::bench;
  Options options;
  CLI::App app{"Times every kernel and provider after its answer matched; writes Google Benchmark's JSON."};
  app.add_option("--filter", options.filter, "a regular expression, searched in case/provider/format/shape/mode");
  app.add_flag("--quick", options.is_quick, "three shapes of each case");
  app.add_flag("--full", options.is_full, "all shapes, with ten times the time for each");
  app.add_flag("--list", options.is_list,
               "print the rows with their floors and run nothing; with --chip, needs no GPU");
  app.add_option("--chip", options.chip, "the catalogue's name of the chip, if the driver's is not in it");
  app.add_option("--out", options.out,
                 "results; FILE.partial holds the rows until all are done, and is taken up again");
  app.add_option("--commit", options.commit, "recorded with the rows");
  app.add_option("--budget", options.budget_s, "seconds after which no row is begun")->check(CLI::PositiveNumber);
  app.add_option("--limit", options.limit_s, "seconds for the samples of a row")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGINT, [](int) { is_interrupted = 1; });
  std::signal(SIGTERM, [](int) { is_interrupted = 1; });
  return run_program(options);
}
