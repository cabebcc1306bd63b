#include <memory>

#include <traincost/app/command.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/cost/explain.hpp>
#include <traincost/report/budget.hpp>
#include <traincost/report/explanation.hpp>

namespace traincost::app {
namespace {

struct Options {
  RunOptions run;
  MachineOptions machine;
  bool explains = false;
  report::Format format = report::Format::table;
};

std::string run(const Options& o) {
  cost::Request request = request_of(o.run);
  request.chip = chip_of(o.machine);
  request.cluster = cluster_of(o.machine, request.chip);
  const auto efficiency = efficiency_of(o.run.calibration);
  const auto estimate = cost::estimate(request, efficiency, prices_of(o.run), catalog::operating());
  if (!o.explains) return report::budget(estimate, o.format);
  return report::explanation(explain(estimate.job, estimate.step, efficiency.on(request.chip)), estimate.job, o.format);
}

}  // namespace

void add_estimate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "estimate", "What a training run costs: time, GPU-hours, dollars, energy, memory, with 90 % intervals",
      "  traincost estimate --model deepseek-v3 --chip h800-sxm5-80gb --gpus 2048 --tokens 14.8e12\n"
      "  traincost estimate --model llama-3-8b --chip a100 --gpus 64 --tokens 1e12 --tp 2 --usd-per-gpu-hour 1.5\n"
      "  traincost estimate --model deepseek-v3 --chip h20-96gb --gpus 2048 --format json\n"
      "  traincost estimate --model deepseek-v3 --chip h800-sxm5-80gb --gpus 2048 --explain");
  add_run_options(*command, o->run);
  add_machine_options(*command, o->machine);
  command->add_flag("--explain", o->explains, "each part of a step with its floor and the timings behind it, instead");
  add_format(*command, o->format);
  command->callback([o] { print(run(*o)); });
}

}  // namespace traincost::app
