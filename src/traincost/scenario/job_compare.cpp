#include <traincost/scenario/job_compare.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <traincost/scenario/best_estimate.hpp>
#include <traincost/scenario/rl.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

std::optional<double> pretraining(const JobSetting& job, const Machine& machine,
                                  const calibrate::Efficiency& efficiency) {
  const auto e = best_estimate(job.model, machine.chip, machine.cluster, job.gpus, efficiency);
  if (!e) return std::nullopt;
  const auto& layout = e->job.layout;
  return e->step.seconds.p50 * job.gpus / (layout.global_batch * layout.seq_len);
}

Server server_of(const JobSetting& job, const Machine& machine) {
  return {.model = job.model, .chip = machine.chip, .cluster = machine.cluster, .expert_gpus = job.expert_gpus};
}

// Steady generation with as many answers at once as give the most tokens: more share the weights, until memory is full.
std::optional<double> rollouts(const JobSetting& job, const Machine& machine,
                               const calibrate::ChipEfficiency& efficiency) {
  const Server server = server_of(job, machine);
  const double room = std::floor(sequences_that_fit(server, job.context));
  std::optional<double> best;
  const auto try_batch = [&](double batch) {
    const auto step =
        decode_step(server, {.busiest = batch, .mean = batch, .context = job.context, .s_q = 1}, efficiency);
    const double per_token = step.seconds.value / batch;
    if (!best || per_token < *best) best = per_token;
  };
  constexpr double kMostAnswers = 1024;
  for (double batch = 1; batch <= std::min(room, kMostAnswers); batch *= 2) try_batch(batch);
  if (room >= 1 && room < kMostAnswers) try_batch(room);
  return best;
}

// Rounds as R1-Zero's at answers of 8,500 tokens.
std::optional<double> reinforcement(const JobSetting& job, const Machine& machine,
                                    const calibrate::Efficiency& efficiency) {
  const auto trained = best_estimate(job.model, machine.chip, machine.cluster, job.gpus, efficiency);
  if (!trained) return std::nullopt;
  RlRun run = r1_zero();
  run.gpus = job.gpus;
  run.outputs_per_step = job.gpus;  // as there: a round is 16 answers per GPU
  constexpr std::size_t kAt8500Tokens = 4;
  const auto round = round_cost(run, run.phases.at(kAt8500Tokens).lengths, server_of(job, machine),
                                sustained_flops(*trained), efficiency.on(machine.chip));
  if (!round.fits) return std::nullopt;
  return round.total() * job.gpus / round.tokens;
}

catalog::Chip with_compute(catalog::Chip chip, const catalog::Chip& donor) {
  chip.fp64_dense_flops = donor.fp64_dense_flops;
  chip.tf32_dense_flops = donor.tf32_dense_flops;
  chip.bf16_dense_flops = donor.bf16_dense_flops;
  chip.fp16_dense_flops = donor.fp16_dense_flops;
  chip.fp8_dense_flops = donor.fp8_dense_flops;
  chip.fp4_dense_flops = donor.fp4_dense_flops;
  chip.int8_dense_ops = donor.int8_dense_ops;
  return chip;
}

void scale(std::optional<units::FlopsPerSecond>& rate, double by) {
  if (rate) *rate *= by;
}

Machine better(Machine m, Spec spec, double by) {
  switch (spec) {
    case Spec::compute:
      for (auto* rate :
           {&m.chip.bf16_dense_flops, &m.chip.fp16_dense_flops, &m.chip.fp8_dense_flops, &m.chip.fp4_dense_flops})
        scale(*rate, by);
      break;
    case Spec::memory_bandwidth:
      if (m.chip.memory_bytes_per_s) *m.chip.memory_bytes_per_s *= by;
      break;
    case Spec::link:
      if (m.chip.link_bytes_per_s) *m.chip.link_bytes_per_s *= by;
      m.cluster.link_bytes_per_s *= by;
      break;
    case Spec::network:
      m.cluster.network_bytes_per_s *= by;
      break;
    case Spec::capacity:
      if (m.chip.memory_bytes) *m.chip.memory_bytes *= by;
      break;
  }
  return m;
}

std::string limit(const JobSetting& job, const Machine& machine, double now, const calibrate::Efficiency& efficiency) {
  constexpr double kTenthMore = 1.1;
  std::string best = "launches";
  double gain = 0.005;  // less is noise of the layout search
  for (const auto spec : kSpecs) {
    const auto then = gpu_seconds_per_token(job, better(machine, spec, kTenthMore), efficiency);
    if (then && now / *then - 1 > gain) {
      gain = now / *then - 1;
      best = to_string(spec);
    }
  }
  return best;
}

// Specs change one after the other, in the order of kSpecs; where a hybrid cannot run, its step is left to the next.
std::vector<Penalty> penalties(const JobSetting& job, const Machine& first, double first_seconds, const Machine& last,
                               double last_seconds, const calibrate::Efficiency& efficiency) {
  std::vector<Penalty> steps;
  Machine hybrid = first;
  double before = first_seconds;
  for (const auto spec : kSpecs) {
    hybrid = with_spec(hybrid, spec, last);
    const auto now = gpu_seconds_per_token(job, hybrid, efficiency);
    if (!now) continue;
    steps.push_back({std::string{to_string(spec)}, *now / before});
    before = *now;
  }
  steps.push_back({"kernels", last_seconds / before});
  return steps;
}

}  // namespace

std::string_view to_string(JobKind kind) {
  constexpr std::string_view kTexts[] = {"pretraining", "rollouts", "rl"};
  return kTexts[static_cast<int>(kind)];
}

std::optional<JobKind> parse_job_kind(std::string_view text) {
  for (const auto kind : {JobKind::pretraining, JobKind::rollouts, JobKind::rl})
    if (to_string(kind) == text) return kind;
  return std::nullopt;
}

std::string_view to_string(Spec spec) {
  constexpr std::string_view kTexts[] = {"compute", "memory bandwidth", "link", "network", "capacity"};
  return kTexts[static_cast<int>(spec)];
}

Machine with_spec(Machine m, Spec spec, const Machine& donor) {
  switch (spec) {
    case Spec::compute:
      m.chip = with_compute(m.chip, donor.chip);
      break;
    case Spec::memory_bandwidth:
      m.chip.memory_bytes_per_s = donor.chip.memory_bytes_per_s;
      break;
    case Spec::link:
      m.chip.link_bytes_per_s = donor.chip.link_bytes_per_s;
      m.chip.scale_up_gpus = donor.chip.scale_up_gpus;
      m.cluster.link_bytes_per_s = donor.cluster.link_bytes_per_s;
      m.cluster.link_latency = donor.cluster.link_latency;
      m.cluster.scale_up_gpus = donor.cluster.scale_up_gpus;
      m.cluster.gpus_per_node = donor.cluster.gpus_per_node;
      break;
    case Spec::network:
      m.cluster.network_bytes_per_s = donor.cluster.network_bytes_per_s;
      m.cluster.network_latency = donor.cluster.network_latency;
      break;
    case Spec::capacity:
      m.chip.memory_bytes = donor.chip.memory_bytes;
      break;
  }
  return m;
}

std::optional<double> gpu_seconds_per_token(const JobSetting& job, const Machine& machine,
                                            const calibrate::Efficiency& efficiency) {
  switch (job.kind) {
    case JobKind::pretraining:
      return pretraining(job, machine, efficiency);
    case JobKind::rl:
      return reinforcement(job, machine, efficiency);
    case JobKind::rollouts:
      break;
  }
  try {
    return rollouts(job, machine, efficiency.on(machine.chip));
  } catch (const InputError&) {
    return std::nullopt;
  }
}

std::vector<JobOnChip> compare(const JobSetting& job, const std::vector<catalog::Chip>& chips,
                               const calibrate::Efficiency& efficiency) {
  std::vector<JobOnChip> rows;
  const Machine* first = nullptr;
  std::vector<Machine> machines;
  machines.reserve(chips.size());
  for (const auto& chip : chips) machines.push_back({chip, catalog::default_cluster(chip)});
  double first_seconds = 0;
  for (const auto& machine : machines) {
    JobOnChip row{.chip = machine.chip.id};
    row.gpu_seconds = gpu_seconds_per_token(job, machine, efficiency);
    if (!row.gpu_seconds) {
      row.why_not = "does not fit, or a figure is missing";
    } else {
      if (first == nullptr) {
        first = &machine;
        first_seconds = *row.gpu_seconds;
      } else {
        row.penalties = penalties(job, *first, first_seconds, machine, *row.gpu_seconds, efficiency);
      }
      row.against_first = *row.gpu_seconds / first_seconds;
      row.limit = limit(job, machine, *row.gpu_seconds, efficiency);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace traincost::scenario
