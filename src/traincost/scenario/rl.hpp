#pragma once

#include <string>
#include <vector>

#include <traincost/scenario/decode.hpp>

namespace traincost::scenario {

/// Lengths of the answers of one round: lognormal, cut off at the limit.
struct Lengths {
  double mean = 6000, log_sigma = 0.8, limit = 32768;
};
double share_longer(const Lengths& lengths, double tokens);

/// A span of steps with the same lengths.
struct LengthPhase {
  double steps = 0;
  Lengths lengths;
};

/// A reinforcement-learning run of rounds: sample `outputs` answers, score them, update the policy on them.
struct RlRun {
  std::string name;
  double gpus = 512;
  double outputs_per_step = 512, steps_per_round = 16;
  double prompt_tokens = 300;
  double tokens_per_decode_step = 1.8;  // speculation accepted: tokens gained per step
  double scored_passes = 2;             // forward passes beside training: old policy and reference
  double switch_seconds = 60;           // a round: scoring not hidden, loading and unloading of models
  std::vector<LengthPhase> phases;
  std::vector<std::string> sources;  // one line per figure: stated, estimated, or assumed
};

struct RoundCost {
  bool fits = true;                           // at least one answer beside the weights; else nothing below is set
  double rollout = 0, update = 0, other = 0;  // seconds
  [[nodiscard]] double total() const { return rollout + update + other; }
  double concurrent = 0;  // sequences per GPU at the start
  double tokens = 0;      // generated, all GPUs
};

/// One round. `train_flops_per_s`: sustained model FLOP/s per GPU of the updates.
RoundCost round_cost(const RlRun& run, const Lengths& lengths, const Server& server, double train_flops_per_s,
                     const calibrate::ChipEfficiency& efficiency);

struct RlCost {
  bool fits = true;  // in every phase
  double gpu_hours = 0, hours = 0;
  double rollout_share = 0, update_share = 0, other_share = 0;
  double tokens = 0;
  std::vector<RoundCost> phases;  // the round of each phase
};
RlCost rl_cost(const RlRun& run, const Server& server, double train_flops_per_s,
               const calibrate::ChipEfficiency& efficiency);

/// Least and most GPU-hours over what the publication leaves open: tokens gained per step of speculation (1 to 1.8),
/// GPUs that share the experts (32 to 128), spread of the lengths (log sigma 0.5 to 1.1).
struct RlRange {
  double low = 0, high = 0;
};
RlRange open_range(const RlRun& run, const Server& server, double train_flops_per_s,
                   const calibrate::ChipEfficiency& efficiency);

/// What DeepSeek published of R1 (arXiv 2501.12948 v2, table 7): GPUs x hours, and GPU-hours of the data.
struct R1Account {
  double gpus = 512, zero_hours = 198, r1_hours = 80, data_gpu_hours = 5000, usd_per_gpu_hour = 2;
  [[nodiscard]] double zero_gpu_hours() const { return gpus * zero_hours; }
  [[nodiscard]] double r1_gpu_hours() const { return gpus * r1_hours; }
  [[nodiscard]] double total_gpu_hours() const { return zero_gpu_hours() + r1_gpu_hours() + data_gpu_hours; }
  [[nodiscard]] double usd() const { return total_gpu_hours() * usd_per_gpu_hour; }
};

/// DeepSeek-R1-Zero (arXiv 2501.12948 v2) from its stated configuration.
RlRun r1_zero();

}  // namespace traincost::scenario
