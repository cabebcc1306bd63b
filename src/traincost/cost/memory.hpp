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

/// What one micro-batch keeps until its backward, bytes on one GPU.
struct Activations {
  double dense = 0, experts = 0;  // of a layer
  double working = 0;             // of the layer that runs again, under full recompute
  double logits = 0;              // on the stage with the head
};
Activations activations(const Job& job);

/// What a job may allocate: vendors sell GB and build GiB ("80 GB" of HBM are 80 x 2^30 bytes), less the driver's
/// share. nullopt: unknown memory.
std::optional<units::Bytes> capacity(const catalog::Chip& chip);
bool fits(const Memory& memory, const catalog::Chip& chip);

/// Parameters on one GPU.
struct LocalParameters {
  double dense = 0, experts = 0;
};
LocalParameters layer_parameters(const Job& job, bool has_experts);
LocalParameters chunk_parameters(const Job& job, const ChunkLayers& layers);

/// What a stage holds. DualPipe keeps a stage's mirror image too.
struct StageLoad {
  ChunkLayers layers;
  LocalParameters parameters;
  double in_flight = 0;  // micro-batches, counted in whole stages
};
/// The stages that can be the fullest: of those with the same layers, the one with most in flight.
std::vector<StageLoad> stage_loads(const Job& job, const std::vector<ChunkLayers>& stages);
LocalParameters most_parameters(const std::vector<StageLoad>& stages);
Memory fullest(const Job& job, const std::vector<StageLoad>& stages, const Activations& kept);

/// Bytes that offloading moves between one GPU and its host in a step, on the stage that moves most.
struct HostTraffic {
  double beside_pipeline = 0;  // weights and activations
  double update = 0;           // optimizer states
};
HostTraffic host_traffic(const Job& job, const std::vector<StageLoad>& stages, const Activations& kept);

}  // namespace traincost::cost
