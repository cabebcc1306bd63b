#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include <traincost/app/command.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/cost/search.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/report/search.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

constexpr double kMaxThreads = 1024, kMaxKept = 10000;
constexpr std::size_t kMaxStateBytes = std::size_t{256} << 20;
constexpr auto kBetweenSaves = std::chrono::seconds(2);

struct Options {
  RunOptions run;
  MachineOptions machine;
  std::string gpus, objective = "time", space = "layouts", state_file;
  std::optional<double> threads, top, for_seconds;
  bool is_quiet = false;
  report::Format format = report::Format::table;
};

cost::Objective objective_of(const std::string& text) {
  if (text == "time") return cost::Objective::time;
  if (text == "cost") return cost::Objective::cost;
  if (text == "energy") return cost::Objective::energy;
  throw InputError(fmt::format("--objective: '{}', expected time, cost or energy", text.substr(0, 80)));
}

std::vector<double> gpu_counts(const std::string& text) {
  std::vector<double> counts;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto count = measure::parse_number(text.substr(at, end - at));
    if (!count || *count < 1 || *count > 1e7 || *count != static_cast<double>(static_cast<long>(*count)))
      throw InputError(fmt::format("--gpus: '{}', expected whole numbers with commas between", text.substr(0, 80)));
    counts.push_back(*count);
    at = end + 1;
  }
  return counts;
}

cost::Space space_of(const std::string& text, const cost::Job& job, const std::vector<double>& gpus,
                     const cost::Settled& settled) {
  if (text == "layouts") return cost::layout_space(job, gpus, settled);
  if (text == "executions") return cost::execution_space(job, gpus, settled);
  throw InputError(fmt::format("--space: '{}', expected layouts or executions", text.substr(0, 80)));
}

std::optional<cost::SearchState> saved_state(const std::string& file) {
  if (file.empty() || !std::filesystem::exists(file)) return std::nullopt;
  return cost::search_state_from_json(measure::read_text(file, kMaxStateBytes), file);
}

// Shows how far the search is on a terminal, and saves it now and then.
auto reporter(const Options& o) {
  const bool is_shown = !o.is_quiet && isatty(fileno(stderr)) != 0;
  return [&o, is_shown, saved = std::chrono::steady_clock::now()](const cost::SearchState& state) mutable {
    if (is_shown) fmt::print(stderr, "\r{}\033[K{}", report::search_progress(state), state.is_finished() ? "\n" : "");
    if (o.state_file.empty() || std::chrono::steady_clock::now() - saved < kBetweenSaves) return;
    saved = std::chrono::steady_clock::now();
    write_file(o.state_file, to_json(state));
  };
}

cost::SearchOptions search_options(const Options& o) {
  const double cores = std::max(1U, std::thread::hardware_concurrency());
  return {.objective = objective_of(o.objective),
          .keep = static_cast<std::size_t>(std::min(o.top.value_or(10), kMaxKept)),
          .threads = static_cast<unsigned>(std::min(o.threads.value_or(cores), kMaxThreads)),
          .for_seconds = o.for_seconds,
          .on_progress = reporter(o)};
}

std::string run(Options o) {
  const auto gpus = gpu_counts(o.gpus);
  o.run.gpus = *std::max_element(gpus.begin(), gpus.end());
  cost::Request request = request_of(o.run, false);
  request.chip = chip_of(o.machine);
  request.cluster = cluster_of(o.machine, request.chip);
  const cost::Job job = cost::job_to_search(request);
  const auto space = space_of(o.space, job, gpus, cost::settled_by(request));
  const auto efficiency = efficiency_of(o.run.calibration).on(request.chip);
  const auto price =
      cost::price_per_gpu(request.chip, prices_of(o.run), catalog::operating(), request.usd_per_gpu_hour);
  const cost::Rates rates{.usd_per_gpu_second = price.p50,
                          .power_usage_effectiveness = catalog::operating().power_usage_effectiveness};
  const auto state = cost::search(space, job, efficiency, rates, search_options(o), saved_state(o.state_file));
  if (!o.state_file.empty()) write_file(o.state_file, to_json(state));
  if (state.is_finished() && state.counts.feasible == 0)
    throw InputError(fmt::format("no layout of {} on {} x {} fits into memory ({} configurations evaluated, {} pruned)",
                                 job.model.id, o.gpus, job.chip.id, state.counts.evaluated, state.counts.pruned));
  return report::search(state, space, job, o.format);
}

}  // namespace

void add_search(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "search", "Every layout of a run, priced: the best, and those that none beats in time, memory and cost",
      "  traincost search --model deepseek-v3 --cluster hgx-h800 --gpus 2048 --batch 15360 --seq 4096\n"
      "  traincost search --model llama-3-8b --cluster hgx-h100 --gpus 8,16,32 --batch 256 --seq 8192 --objective "
      "cost\n"
      "  traincost search --model gpt-3-175b --cluster dgx-a100-80gb --gpus 64 --batch 1 --seq 2048 "
      "--space executions --format csv");
  command->add_option("--gpus", o->gpus, "how many GPUs; several numbers with commas are searched together")
      ->required();
  add_model_options(*command, o->run);
  add_machine_options(*command, o->machine);
  command->add_option("--objective", o->objective, "time, cost or energy");
  command->add_option("--space", o->space,
                      "layouts, or executions: also placement, kind and overlap of tensor-parallel collectives, and "
                      "what is offloaded to the host");
  add_layout_options(*command, o->run, "Layout (default: all; given, only that)");
  add_count(*command, "--top", o->top, "how many of the best to list (default: 10)");
  add_count(*command, "--threads", o->threads, "default: one per core");
  command->add_option("--state", o->state_file, "a file that keeps how far the search is, and from which it goes on");
  add_positive(*command, "--for-seconds", o->for_seconds, "then stop; with --state, the next call goes on");
  command->add_flag("--quiet", o->is_quiet, "no progress on the terminal");
  add_format(*command, o->format);
  command->callback([o] { print(run(*o)); });
}

}  // namespace traincost::app
