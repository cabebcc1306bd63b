#include <memory>

#include <traincost/app/command.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/report/budget.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

struct Options {
  RunOptions run;
  std::string chip, chip_file, cluster, cluster_file;
  report::Format format = report::Format::table;
};

catalog::Chip chip_of(const Options& o) {
  if (!o.chip_file.empty()) return catalog::parse_chip(catalog::read_text_file(o.chip_file), o.chip_file);
  if (o.chip.empty()) throw InputError("--chip or --chip-file is required");
  return chip_named(o.chip);
}

catalog::Cluster cluster_of(const Options& o, const catalog::Chip& chip) {
  if (!o.cluster_file.empty()) return catalog::parse_cluster(catalog::read_text_file(o.cluster_file), o.cluster_file);
  return o.cluster.empty() ? catalog::default_cluster(chip) : cluster_named(o.cluster);
}

std::string run(const Options& o) {
  cost::Request request = request_of(o.run);
  request.chip = chip_of(o);
  request.cluster = cluster_of(o, request.chip);
  const auto efficiency = efficiency_of(o.run.calibration);
  return report::budget(cost::estimate(request, efficiency, prices_of(o.run), catalog::operating()), o.format);
}

}  // namespace

void add_estimate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "estimate", "What a training run costs: time, GPU-hours, dollars, energy, memory, with 90 % intervals",
      "  traincost estimate --model deepseek-v3 --chip h800-sxm5-80gb --gpus 2048 --tokens 14.8e12\n"
      "  traincost estimate --model llama-3-8b --chip a100 --gpus 64 --tokens 1e12 --tp 2 --usd-per-gpu-hour 1.5\n"
      "  traincost estimate --model deepseek-v3 --chip h20-96gb --gpus 2048 --format json");
  add_run_options(*command, o->run);
  auto* chip = command->add_option("--chip", o->chip, "a chip of the catalogue (traincost chips)");
  command->add_option("--chip-file", o->chip_file, "a chip of your own, a TOML file")->excludes(chip);
  auto* cluster = command->add_option("--cluster", o->cluster, "how the GPUs are joined (default: as usually sold)");
  command->add_option("--cluster-file", o->cluster_file, "a cluster of your own, a TOML file")->excludes(cluster);
  add_format(*command, o->format);
  command->callback([o] { print(run(*o)); });
}

}  // namespace traincost::app
