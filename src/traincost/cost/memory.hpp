#pragma once

#include <traincost/cost/job.hpp>

namespace traincost::cost {

/// Memory of the fullest GPU, bytes; peak allocated.
struct Memory {
  double parameters = 0, gradients = 0, optimizer = 0, activations = 0, buffers = 0;
  double total() const { return parameters + gradients + optimizer + activations + buffers; }
};

/// Mixed-precision Adam (2-byte parameters, 4-byte gradients, master copy and two moments), sharded as the layout says;
/// activations of the micro-batches in flight on the first stage. Activation terms: Korthikanti et al.,
/// arXiv 2205.05198, section 4, with the attention square left out under flash attention.
Memory memory(const Job& job);

/// Parameters on one GPU of the stage that holds most: dense part (with embeddings) and experts.
struct LocalParameters {
  double dense = 0, experts = 0;
};
LocalParameters local_parameters(const Job& job);

}  // namespace traincost::cost
