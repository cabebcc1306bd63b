#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/model.hpp>

namespace traincost::scenario {

/// What a fleet is used for. Each stresses a chip differently, so a restriction costs each differently.
enum class JobKind { pretraining, rollouts, rl };
std::string_view to_string(JobKind kind);
std::optional<JobKind> parse_job_kind(std::string_view text);

struct JobSetting {
  JobKind kind = JobKind::pretraining;
  catalog::Model model;
  double gpus = 2048;
  double context = 8192;    // of rollouts: mean tokens in the cache of a running answer
  double expert_gpus = 64;  // that share the experts in rollouts
};

/// A chip in a cluster; the parts can be those of different chips.
struct Machine {
  catalog::Chip chip;
  catalog::Cluster cluster;
};

/// GPU-seconds per token: trained on, generated, or generated and learned from. nullopt: does not fit, or a figure is
/// missing.
std::optional<double> gpu_seconds_per_token(const JobSetting& job, const Machine& machine,
                                            const calibrate::Efficiency& efficiency);

/// What a chip differs in.
enum class Spec { compute, memory_bandwidth, link, network, capacity };
inline constexpr Spec kSpecs[] = {Spec::compute, Spec::memory_bandwidth, Spec::link, Spec::network, Spec::capacity};
std::string_view to_string(Spec spec);

/// The machine with one spec of another.
Machine with_spec(Machine machine, Spec spec, const Machine& donor);

/// One step on the way from the reference to the chip: the reference's remaining specs, one more of the chip's.
struct Penalty {
  std::string what;   // a spec, or "kernels" for what no data sheet says
  double factor = 1;  // of GPU-seconds; the product over the steps is the whole
};

struct JobOnChip {
  std::string chip;
  std::optional<double> gpu_seconds;    // per token
  std::optional<double> against_first;  // chips needed to match one of the first
  std::string limit;                    // the spec of which a tenth more would help most
  std::vector<Penalty> penalties;       // against the first
  std::string why_not;
};

std::vector<JobOnChip> compare(const JobSetting& job, const std::vector<catalog::Chip>& chips,
                               const calibrate::Efficiency& efficiency);

}  // namespace traincost::scenario
