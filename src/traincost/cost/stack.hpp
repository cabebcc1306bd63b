#pragma once

#include <string_view>

namespace traincost::cost {

/// What the training software does, as far as it changes the time of a step. Defaults: a current, well-tuned stack.
struct Stack {
  enum class Attention {
    flash1 /* 2022-23 */,
    triton /* FlashAttention 1 in Triton */,
    flash2 /* 2023 */,
    newest /* FlashAttention 3, cuDNN 9 */
  };
  enum class Elementwise { fused, eager /* one kernel per operation */, compiled };
  /// Of the all-to-all behind another micro-batch.
  enum class ExpertOverlap {
    none,
    network /* in interleaved pipelines, where it leaves the scale-up domain */,
    always
  };
  /// NCCL: a token once per expert. DeepEP: once per node. HybridEP: so too, from more SMs, and placed by expert on the
  /// way.
  enum class Exchange { all_to_all, deepep, hybridep };
  enum class Graphs { none, blackwell /* CUDA graphs there, of all whose shapes do not depend on the routing */ };
  Elementwise elementwise = Elementwise::fused;
  int year = 2025;  // decides attention kernels and host overhead
  Attention attention = Attention::newest;
  bool overlaps_tensor_par = true;  // collectives of tensor parallelism behind the matrix products
  bool hides_tensor_grad = true;    // the input gradient's collective behind the weight gradient's product
  bool overlaps_data_par = true;    // gradient reduction and parameter gathering behind the backward and forward
  bool prefetches_backward = true;  // sharded parameters gathered before the backward of the layer above has ended
  bool overlaps_pipeline = true;    // send and receive behind the other chunk's compute
  ExpertOverlap expert_overlap = ExpertOverlap::none;
  Graphs graphs = Graphs::none;
  bool blocks_launches = false;  // the host waits for each kernel (CUDA_LAUNCH_BLOCKING)
  Exchange exchange = Exchange::all_to_all;
  bool dispatches_fp8 = false;       // tokens travel to the experts in the format of the products
  double expert_nodes_limit = 0;     // a token visits at most this many nodes; 0: no limit
  bool shards_sequence = true;       // norms and residuals over the tensor-parallel group (Korthikanti et al., 2022)
  bool scales_fp8_by_block = false;  // DeepSeek's recipe; else one scale a tensor
  bool fuses_cross_entropy = false;
  bool stops_recompute_early = false;  // a recomputed layer ends at its last saved tensor, before the projection down
  bool has_parallel_block = false;     // attention and feed-forward side by side: half the tensor-parallel collectives
};

/// How much slower a generation's attention kernel is than the newest on that architecture; 1 where it is the newest.
/// From the published figures of FlashAttention 1, 2 and 3 (results/published/kernels.csv).
double attention_slowdown(Stack::Attention attention, std::string_view arch);

/// From the columns `stack` ("Megatron-LM, 2021") and `features` ("eager deepep") of a table of runs. The framework and
/// its year decide the defaults, the features correct them; unknown text gives the defaults.
Stack parse_stack(std::string_view stack, std::string_view features);

}  // namespace traincost::cost
