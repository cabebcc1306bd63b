#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/estimate.hpp>

namespace traincost::app {

/// The options that `estimate` and `compare` share: which model on how many GPUs, and what of the layout is settled.
struct RunOptions {
  std::string model, model_file, calibration;
  std::optional<double> gpus, tokens;
  std::optional<double> global_batch, seq_len, tensor_par, pipeline_par, context_par, expert_par, micro_batch,
      interleave, usd_per_gpu_hour;
  std::vector<std::string> price_files;
  std::string schedule, recompute, sharding, dtype;
};

void add_run_options(CLI::App& command, RunOptions& options);
/// Parts of it: the model and the calibration; the layout under a title; prices.
void add_model_options(CLI::App& command, RunOptions& options);
void add_layout_options(CLI::App& command, RunOptions& options, const char* title);

/// Without the chip and its cluster. Throws InputError. A question about one step needs no tokens.
cost::Request request_of(const RunOptions& options, bool needs_tokens = true);

/// On what it runs.
struct MachineOptions {
  std::string chip, chip_file, cluster, cluster_file;
};
void add_machine_options(CLI::App& command, MachineOptions& options);
/// A cluster alone names its chip; a chip alone is joined as it is usually sold. Throws InputError.
catalog::Chip chip_of(const MachineOptions& options);
catalog::Cluster cluster_of(const MachineOptions& options, const catalog::Chip& chip);

/// The catalogue's, or those of the files given in their place.
std::vector<catalog::Price> prices_of(const RunOptions& options);

/// The shipped surfaces, or those of the file given.
calibrate::Efficiency efficiency_of(const std::string& calibration_file);

}  // namespace traincost::app
