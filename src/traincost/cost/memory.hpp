#pragma once

#include <optional>

#include <traincost/cost/job.hpp>
#include <traincost/cost/stages.hpp>

namespace traincost::cost {

/// Memory of one GPU, bytes; peak allocated.
struct Memory {
  double parameters = 0, gradients = 0, optimizer = 0, activations = 0, buffers = 0;
  [[nodiscard]] double total() const { return parameters + gradients + optimizer + activations + buffers; }
};

/// Of the fullest stage. Mixed-precision Adam (2-byte parameters, 4-byte gradients, master copy and two moments),
/// sharded as the layout says; activations of the micro-batches in flight. Activation terms: Korthikanti et al.,
/// arXiv 2205.05198, section 4, with the attention square left out under flash attention.
Memory memory(const Job& job);

/// What a job may allocate: vendors sell GB and build GiB ("80 GB" of HBM are 80 x 2^30 bytes), less the driver's
/// share. nullopt: unknown memory.
std::optional<units::Bytes> capacity(const catalog::Chip& chip);
bool fits(const Memory& memory, const catalog::Chip& chip);

/// Parameters on one GPU.
struct LocalParameters {
  double dense = 0, experts = 0;
};
LocalParameters layer_parameters(const Job& job, bool has_experts);
LocalParameters chunk_parameters(const Job& job, const ChunkLayers& chunk);
/// Of the stage that holds most.
LocalParameters local_parameters(const Job& job);

}  // namespace traincost::cost
