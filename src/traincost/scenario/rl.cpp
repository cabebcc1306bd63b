#include <traincost/scenario/rl.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <traincost/scenario/random.hpp>

namespace traincost::scenario {
namespace {

// Mean m and sigma s of the logarithm: median m exp(-s^2 / 2). The cut-off lowers the mean a little; left as it is.
double log_median(const Lengths& l) { return std::log(l.mean) - l.log_sigma * l.log_sigma / 2; }

// Expected tokens of one answer, the cut-off counted: integral of the share still running.
double mean_length(const Lengths& l) {
  constexpr int kBins = 400;
  double sum = 0;
  for (int i = 0; i < kBins; ++i) sum += share_longer(l, (i + 0.5) / kBins * l.limit);
  return sum * l.limit / kBins;
}

DecodeLoad load(const RlRun& run, double busiest, double mean, double answered) {
  return {.busiest = busiest,
          .mean = mean,
          .context = run.prompt_tokens + answered,
          .s_q = run.tokens_per_decode_step > 1 ? 2.0 : 1.0};
}

/// All of `batch` sequences per GPU start together and nothing refills: the batch shrinks as answers end, and the round
/// lasts as long as its longest answer.
double drain_seconds(const RlRun& run, const Lengths& lengths, const Server& server, double batch,
                     const calibrate::ChipEfficiency& efficiency) {
  constexpr int kBins = 48;
  double seconds = 0;
  for (int i = 0; i < kBins; ++i) {
    const double middle = (i + 0.5) / kBins * lengths.limit;
    const double share = share_longer(lengths, middle);
    const double alive = batch * share;
    if (alive * run.gpus < 0.5) break;  // the last answer of the round has probably ended
    const double busiest = std::min(batch, expected_largest(alive, alive * (1 - share), server.expert_gpus));
    const auto step = decode_step(server, load(run, std::max(1.0, busiest), alive, middle), efficiency);
    seconds += lengths.limit / kBins / run.tokens_per_decode_step * step.seconds.value;
  }
  return seconds;
}

}  // namespace

double share_longer(const Lengths& l, double tokens) {
  if (tokens >= l.limit) return 0;
  return normal_cdf(-(std::log(tokens) - log_median(l)) / l.log_sigma);
}

RoundCost round_cost(const RlRun& run, const Lengths& lengths, const Server& server, double train_flops_per_s,
                     const calibrate::ChipEfficiency& efficiency) {
  const double mean = mean_length(lengths);
  const double outputs = run.outputs_per_step * run.steps_per_round;
  const double per_gpu = outputs / run.gpus;
  RoundCost cost{.other = run.switch_seconds, .tokens = outputs * mean};
  // What must fit is the mean cache of running answers; those that do not fit wait and refill.
  const double room = sequences_that_fit(server, run.prompt_tokens + mean);
  cost.concurrent = std::min(per_gpu, std::floor(room));
  if (cost.concurrent < 1) return {.fits = false};
  const double waiting = per_gpu - cost.concurrent;
  if (waiting > 0) {
    const auto step = decode_step(server, load(run, cost.concurrent, cost.concurrent, mean / 2), efficiency);
    cost.rollout += waiting * mean / (cost.concurrent * run.tokens_per_decode_step) * step.seconds.value;
  }
  cost.rollout += drain_seconds(run, lengths, server, cost.concurrent, efficiency);
  const double flop_per_token = (6 + 2 * run.scored_passes) * catalog::active_params(server.model);
  cost.update = outputs * (run.prompt_tokens + mean) * flop_per_token / (run.gpus * train_flops_per_s);
  return cost;
}

RlCost rl_cost(const RlRun& run, const Server& server, double train_flops_per_s,
               const calibrate::ChipEfficiency& efficiency) {
  RlCost cost;
  double rollout = 0, update = 0, other = 0;
  for (const auto& phase : run.phases) {
    const auto round = round_cost(run, phase.lengths, server, train_flops_per_s, efficiency);
    if (!round.fits) return {.fits = false};
    const double rounds = phase.steps / run.steps_per_round;
    rollout += rounds * round.rollout;
    update += rounds * round.update;
    other += rounds * round.other;
    cost.tokens += rounds * round.tokens;
    cost.phases.push_back(round);
  }
  const double seconds = rollout + update + other;
  cost.hours = seconds / units::kHour.value;
  cost.gpu_hours = cost.hours * run.gpus;
  cost.rollout_share = rollout / seconds;
  cost.update_share = update / seconds;
  cost.other_share = other / seconds;
  return cost;
}

RlRange open_range(const RlRun& base, const Server& base_server, double train_flops_per_s,
                   const calibrate::ChipEfficiency& efficiency) {
  RlRange range{.low = std::numeric_limits<double>::infinity()};
  for (const double gained : {1.0, 1.8})
    for (const double expert_gpus : {32.0, 128.0})
      for (const double log_sigma : {0.5, 1.1}) {
        RlRun run = base;
        run.tokens_per_decode_step = gained;
        for (auto& phase : run.phases) phase.lengths.log_sigma = log_sigma;
        Server server = base_server;
        server.expert_gpus = expert_gpus;
        const auto cost = rl_cost(run, server, train_flops_per_s, efficiency);
        if (!cost.fits) continue;
        range.low = std::min(range.low, cost.gpu_hours);
        range.high = std::max(range.high, cost.gpu_hours);
      }
  return range;
}

RlRun r1_zero() {
  RlRun run{.name = "DeepSeek-R1-Zero"};
  // Steps, mean length, limit. Lengths as remembered from the report's figure of length by step.
  constexpr double kRows[][3] = {{1000, 1200, 32768}, {1000, 2200, 32768},  {2000, 3800, 32768}, {2000, 6000, 32768},
                                 {2200, 8500, 32768}, {1100, 12000, 65536}, {1100, 15000, 65536}};
  for (const auto& row : kRows)
    run.phases.push_back({.steps = row[0], .lengths = {.mean = row[1], .log_sigma = 0.8, .limit = row[2]}});
  run.sources = {
      "512 H800 (64 nodes of 8); 32 questions x 16 answers a step; rounds of 8,192 answers; 10,400 steps; answers up "
      "to 32,768 tokens, 65,536 after step 8,200 [fact: arXiv 2501.12948 v2]",
      "expert parallelism and self-speculation with the MTP module in the rollouts [fact: the same]; 1.8 tokens a step "
      "[fact: arXiv 2412.19437, 5.4.3]",
      "mean answer 1,200 to 15,000 tokens over the steps [estimated: from memory of the report's figure of length by "
      "step, not read again]",
      "spread of the lengths (log sigma 0.8), prompts of 300 tokens, experts over 64 GPUs, 60 s a round for scoring "
      "and for loading and unloading models [assumed: not published]",
  };
  return run;
}

}  // namespace traincost::scenario
