#include <fmt/format.h>

#include <traincost/app/command.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

// A calibration is at most a few megabytes.
constexpr std::size_t kMaxCalibrationBytes = std::size_t{64} << 20;

template <class T, class Parse>
std::optional<T> parsed(const char* option, const std::string& text, Parse parse, const char* expected) {
  if (text.empty()) return std::nullopt;
  const std::optional<T> value = parse(text);
  if (!value) throw InputError(fmt::format("{}: '{}', expected {}", option, text.substr(0, 80), expected));
  return value;
}

}  // namespace

void add_model_options(CLI::App& command, RunOptions& o) {
  auto* model = command.add_option("--model", o.model, "a model of the catalogue (traincost models)");
  command.add_option("--model-file", o.model_file, "a model of your own, a TOML file")->excludes(model);
  command.add_option("--calibration", o.calibration, "efficiency surfaces from `traincost calibrate`, a JSON file");
}

void add_run_options(CLI::App& command, RunOptions& o) {
  add_model_options(command, o);
  add_count(command, "--gpus", o.gpus, "how many GPUs")->required();
  add_positive(command, "--tokens", o.tokens, "tokens of the whole run (default: as the model's publisher trained it)");
  add_layout_options(command, o, "Layout (default: the published one where it fits, else the fastest found that fits)");
}

void add_layout_options(CLI::App& command, RunOptions& o, const char* title) {
  CLI::App& layout = *command.add_option_group(title);
  add_count(layout, "--batch", o.global_batch, "sequences of an optimizer step");
  add_count(layout, "--seq", o.seq_len, "tokens of a sequence");
  add_count(layout, "--tp", o.tensor_par, "tensor parallelism");
  add_count(layout, "--pp", o.pipeline_par, "pipeline stages");
  add_count(layout, "--cp", o.context_par, "context parallelism");
  add_count(layout, "--ep", o.expert_par, "expert parallelism");
  add_count(layout, "--micro-batch", o.micro_batch, "sequences of a data-parallel rank per forward pass");
  add_count(layout, "--interleave", o.interleave, "virtual stages of a pipeline stage");
  layout.add_option("--schedule", o.schedule, "1f1b, interleaved, zero_bubble or dual_pipe");
  layout.add_option("--recompute", o.recompute, "none, selective or full");
  layout.add_option("--sharding", o.sharding, "none, zero1, zero2 or zero3");
  layout.add_option("--dtype", o.dtype, "of the matrix products: bf16, fp8, fp8_block, mxfp8 ...");
  add_positive(command, "--usd-per-gpu-hour", o.usd_per_gpu_hour, "instead of the catalogue's prices");
  command.add_option("--price-file", o.price_files, "prices of your own, TOML files, instead of the catalogue's");
}

cost::Request request_of(const RunOptions& o, bool needs_tokens) {
  if (o.model.empty() && o.model_file.empty()) throw InputError("--model or --model-file is required");
  if (!o.gpus) throw InputError("--gpus is required");
  cost::Request request;
  request.model = o.model_file.empty() ? model_named(o.model)
                                       : catalog::parse_model(catalog::read_text_file(o.model_file), o.model_file);
  request.gpus = *o.gpus;
  const auto tokens = o.tokens ? o.tokens : request.model.published_tokens;
  if (!tokens && needs_tokens)
    throw InputError(fmt::format("--tokens is required: none is published for {}", request.model.id));
  request.tokens = tokens.value_or(0);
  request.global_batch = o.global_batch;
  request.seq_len = o.seq_len;
  request.tensor_par = o.tensor_par;
  request.pipeline_par = o.pipeline_par;
  request.context_par = o.context_par;
  request.expert_par = o.expert_par;
  request.micro_batch = o.micro_batch;
  request.interleave = o.interleave;
  request.usd_per_gpu_hour = o.usd_per_gpu_hour;
  request.schedule = parsed<cost::Schedule>("--schedule", o.schedule, cost::parse_schedule,
                                            "1f1b, interleaved, zero_bubble or dual_pipe");
  request.recompute =
      parsed<cost::Recompute>("--recompute", o.recompute, cost::parse_recompute, "none, selective or full");
  request.sharding =
      parsed<cost::Sharding>("--sharding", o.sharding, cost::parse_sharding, "none, zero1, zero2 or zero3");
  request.dtype = parsed<work::Dtype>("--dtype", o.dtype, work::parse_dtype, "bf16, fp16, fp8, fp8_block, mxfp8 ...");
  return request;
}

void add_machine_options(CLI::App& command, MachineOptions& o) {
  auto* chip = command.add_option("--chip", o.chip, "a chip of the catalogue (traincost chips)");
  command.add_option("--chip-file", o.chip_file, "a chip of your own, a TOML file")->excludes(chip);
  auto* cluster = command.add_option("--cluster", o.cluster, "how the GPUs are joined (default: as usually sold)");
  command.add_option("--cluster-file", o.cluster_file, "a cluster of your own, a TOML file")->excludes(cluster);
}

catalog::Chip chip_of(const MachineOptions& o) {
  if (!o.chip_file.empty()) return catalog::parse_chip(catalog::read_text_file(o.chip_file), o.chip_file);
  if (!o.chip.empty()) return chip_named(o.chip);
  if (o.cluster.empty() && o.cluster_file.empty()) throw InputError("--chip, --chip-file or --cluster is required");
  return chip_named(cluster_of(o, {}).chip);
}

catalog::Cluster cluster_of(const MachineOptions& o, const catalog::Chip& chip) {
  if (!o.cluster_file.empty()) return catalog::parse_cluster(catalog::read_text_file(o.cluster_file), o.cluster_file);
  return o.cluster.empty() ? catalog::default_cluster(chip) : cluster_named(o.cluster);
}

std::vector<catalog::Price> prices_of(const RunOptions& o) {
  return catalog::prices_with({o.price_files.begin(), o.price_files.end()});
}

calibrate::Efficiency efficiency_of(const std::string& calibration_file) {
  if (calibration_file.empty()) return calibrate::default_efficiency();
  return calibrate::from_json(measure::read_text(calibration_file, kMaxCalibrationBytes), calibration_file);
}

}  // namespace traincost::app
