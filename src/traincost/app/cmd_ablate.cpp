#include <fmt/format.h>

#include <memory>

#include <traincost/app/command.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/cost/ablate.hpp>
#include <traincost/report/explanation.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

struct Options {
  RunOptions run;
  MachineOptions machine;
  report::Format format = report::Format::table;
};

// What is not asked is as the model's publisher trained it.
std::string run(Options o) {
  if (!o.run.gpus) o.run.gpus = 1;
  cost::Request request = request_of(o.run, false);
  const auto& published = request.model.published_layout;
  if (published && published->gpus && *o.run.gpus == 1) request.gpus = *published->gpus;
  if (published && o.machine.chip.empty() && o.machine.chip_file.empty() && o.machine.cluster.empty() &&
      o.machine.cluster_file.empty())
    o.machine.chip = published->chip;
  request.chip = chip_of(o.machine);
  request.cluster = cluster_of(o.machine, request.chip);
  cost::Job job = cost::job_to_search(request);
  if (request.dtype)
    job.layout.dtype = *request.dtype;
  else if (published)
    job.layout.dtype = work::parse_dtype(published->dtype).value_or(work::Dtype::bf16);
  const auto rate = catalog::rate(request.chip, job.layout.dtype);
  if (!rate) throw InputError(fmt::format("chip {}: no rate is known", request.chip.id));
  if (work::bytes_per_element(rate->used) > work::bytes_per_element(job.layout.dtype)) job.layout.dtype = rate->used;
  return report::ablation(cost::ablate(job, efficiency_of(o.run.calibration).on(request.chip)), job, o.format);
}

}  // namespace

void add_ablate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "ablate",
      "What a model's parts cost and save: from a dense one of equal active size to experts, MLA, fp8, DualPipe",
      "  traincost ablate --model deepseek-v3\n"
      "  traincost ablate --model deepseek-v3 --chip h20-96gb --gpus 2048 --format csv");
  add_model_options(*command, o->run);
  add_machine_options(*command, o->machine);
  add_count(*command, "--gpus", o->run.gpus, "how many GPUs (default: as the model's publisher had)");
  add_count(*command, "--batch", o->run.global_batch, "sequences of an optimizer step");
  add_count(*command, "--seq", o->run.seq_len, "tokens of a sequence");
  command->add_option("--dtype", o->run.dtype, "of the last steps: fp8, fp8_block ... (default: the published one)");
  add_format(*command, o->format);
  command->callback([o] { print(run(*o)); });
}

}  // namespace traincost::app
