#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <traincost/catalog/model.hpp>
#include <traincost/work/dtype.hpp>

namespace traincost::cost {

enum class Schedule { one_f_one_b, interleaved, zero_bubble, dual_pipe };
enum class Recompute { none, selective /* attention scores, norms, activations */, full };
enum class Sharding { none, zero1 /* optimizer */, zero2 /* + gradients */, zero3 /* + parameters: FSDP */ };
enum class AttentionImpl { flash, materialised /* scores written to memory, before 2022 */ };
/// Which ranks lie next to each other and so share the scale-up link first.
enum class Placement {
  tensor_first /* then context, then data; pipeline last: as the common frameworks do */,
  pipeline_first /* tensor next */,
  packed /* tensor, then pipeline, then data */,
  network /* tensor and pipeline leave the scale-up link alone */
};
/// How tensor-parallel collectives run beside the products. pipe: cut into pieces; ring: step by step, the first of
/// them alone.
enum class TensorOverlap { by_stack, none, pipe, ring };
enum class Routing { balanced, dropless, token_drop };

/// What is kept in the host's memory and travels to the GPU when needed.
struct Offload {
  bool weights = false, activations = false, optimizer = false;
  bool operator==(const Offload&) const = default;
};

/// How the job is spread over the GPUs and how each GPU computes. data_par = gpus / (tensor, pipeline, context); the
/// expert-parallel group lies inside tensor x context x data parallelism.
struct Layout {
  double gpus = 1;
  double tensor_par = 1, pipeline_par = 1, context_par = 1, expert_par = 1;
  double micro_batch = 1;  // sequences per data-parallel rank per forward
  double interleave = 1;   // virtual stages per pipeline stage
  Schedule schedule = Schedule::one_f_one_b;
  Recompute recompute = Recompute::none;
  double recompute_share = 1;  // of the layers, by the method above; the others keep everything
  Sharding sharding = Sharding::zero1;
  bool sequence_par = true;     // norms and residuals sharded over the tensor-parallel group
  bool keeps_gathered = false;  // the gathered inputs of sequence-parallel products, instead of gathering them again
  bool scatters_sends = true;   // a tensor-parallel rank sends its share to the next stage, else all send everything
  TensorOverlap tensor_overlap = TensorOverlap::by_stack;
  Placement placement = Placement::tensor_first;
  Offload offload;
  AttentionImpl attention_impl = AttentionImpl::flash;
  Routing routing = Routing::balanced;
  work::Dtype dtype = work::Dtype::bf16;  // of the matrix products
  double global_batch = 0;                // sequences
  double seq_len = 0;
};

double data_par(const Layout& layout);
/// Share of the layers whose whole forward runs again.
double fully_recomputed(const Layout& layout);
double micro_batches(const Layout& layout);  // per data-parallel rank and step

/// Why the layout cannot be (a factor does not divide, more stages than layers ...); nullopt if it can.
std::optional<std::string> why_impossible(const Layout& layout, const catalog::Model& model);

/// "TP8 PP16 EP1 CP1 DP128, micro-batch 1, 1F1B, recompute none, ZeRO-1, bf16"
std::string describe(const Layout& layout);

std::string_view to_string(Schedule schedule);
std::string_view to_string(Recompute recompute);
std::string_view to_string(Sharding sharding);
std::string_view to_string(Placement placement);
std::string_view to_string(TensorOverlap overlap);
std::optional<Schedule> parse_schedule(std::string_view text);
std::optional<Recompute> parse_recompute(std::string_view text);
std::optional<Sharding> parse_sharding(std::string_view text);

}  // namespace traincost::cost
