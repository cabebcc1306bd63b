#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <traincost/cost/job.hpp>

namespace traincost::cost {

struct RecomputeChoice {
  Recompute method = Recompute::none;
  double share = 1;
};
struct Order {
  Schedule schedule = Schedule::one_f_one_b;
  double interleave = 1;
};
struct TensorMode {
  bool sequence_par = true, keeps_gathered = false, scatters_sends = true;
};

/// All layouts that a search looks at: the product of the lists, each a factor of a layout, and `rest` for what none
/// of them sets. A layout has an index; later lists vary faster.
struct Space {
  Layout rest;
  std::vector<double> gpus{1};
  std::vector<work::Dtype> dtypes{work::Dtype::bf16};
  std::vector<double> tensor_par{1}, context_par{1}, expert_par{1};
  std::vector<Placement> placements{Placement::tensor_first};
  std::vector<TensorOverlap> tensor_overlaps{TensorOverlap::by_stack};
  std::vector<TensorMode> tensor_modes{TensorMode{}};
  std::vector<double> micro_batch{1};
  std::vector<double> pipeline_par{1};
  std::vector<Order> orders{Order{}};
  std::vector<RecomputeChoice> recomputes{RecomputeChoice{}};
  std::vector<Sharding> shardings{Sharding::zero1};
  std::vector<Offload> offloads{Offload{}};
  bool whole_micro_batches = true;  // the batch divides among ranks and micro-batches; else the last one is padded
  bool whole_chunks = false;        // the layers divide among the chunks of an interleaved pipeline
};

/// Layouts of the space, possible or not.
std::uint64_t size(const Space& space);
Layout layout_at(const Space& space, std::uint64_t index);

/// Layouts are priced together when they differ in stages, order, recompute, sharding and offloading only.
std::uint64_t items(const Space& space);
std::uint64_t layouts_per_item(const Space& space);

/// Whether the layout can be, asked in three steps, each for the factors that vary faster than those before: item, then
/// stages and order, then the rest. A layout that is another one in all but name (how tensor parallelism of 1
/// communicates, say) is not possible.
bool is_possible_item(const Space& space, const catalog::Model& model, const Layout& layout);
bool is_possible_pipeline(const Space& space, const catalog::Model& model, const Layout& layout);
bool is_possible_choice(const Space& space, const Layout& layout);
bool is_possible(const Space& space, const catalog::Model& model, const Layout& layout);

/// What a user has settled; the rest is free.
struct Settled {
  std::optional<double> tensor_par, pipeline_par, context_par, expert_par, micro_batch, interleave;
  std::optional<Schedule> schedule;
  std::optional<Recompute> recompute;
  std::optional<Sharding> sharding;
  std::optional<work::Dtype> dtype;
};

/// Every layout of `job.model` on as many GPUs of `job.chip`: parallelism by every divisor (tensor within the scale-up
/// domain), micro-batches of 1 to 16, every schedule and interleave, recompute of none, selective, quarters of the
/// layers, every ZeRO level, bf16 and the chip's fp8 recipes. `job.layout` gives batch and sequence.
Space layout_space(const Job& job, const std::vector<double>& gpus, const Settled& settled);

/// The same, and how each GPU carries it out: placement, kind and overlap of the tensor-parallel collectives, what is
/// offloaded. Tensor parallelism may leave the scale-up domain.
Space execution_space(const Job& job, const std::vector<double>& gpus, const Settled& settled);

}  // namespace traincost::cost
