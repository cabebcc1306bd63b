#pragma once

#include <string>
#include <string_view>

#include <traincost/work/dtype.hpp>

namespace traincost::cost {

enum class Schedule { one_f_one_b, interleaved, zero_bubble, dual_pipe };
enum class Recompute { none, selective /* attention core, norms, activations */, full };
enum class Sharding { none, zero1 /* optimizer */, zero2 /* + gradients */, zero3 /* + parameters: FSDP */ };
enum class AttentionImpl { flash, materialised /* scores written to memory, before 2022 */ };

/// How the job is spread over the GPUs and how each GPU computes. data_par = gpus / (tensor, pipeline, context); expert
/// parallelism lies inside data x context (x tensor) parallelism.
struct Layout {
  double gpus = 1;
  double tensor_par = 1, pipeline_par = 1, context_par = 1, expert_par = 1;
  double micro_batch = 1;  // sequences per data-parallel rank per forward
  double interleave = 1;   // virtual stages per pipeline stage
  Schedule schedule = Schedule::one_f_one_b;
  Recompute recompute = Recompute::none;
  Sharding sharding = Sharding::zero1;
  bool sequence_par = true;  // norms and residuals sharded over the tensor-parallel group
  AttentionImpl attention_impl = AttentionImpl::flash;
  work::Dtype dtype = work::Dtype::bf16;  // of the GEMMs
  double global_batch = 0;                // sequences
  double seq_len = 0;
};

double data_par(const Layout& layout);

}  // namespace traincost::cost
