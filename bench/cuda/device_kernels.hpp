#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include <bench/sm_clock.hpp>

/// The kernels that the timing itself needs.
namespace traincost::bench::cuda {

/// One stamp a block.
void launch_stamps(Stamp* stamps, int blocks, cudaStream_t stream);

/// Holds the stream until the host writes 1 to *flag (mapped host memory), so that what follows is enqueued as a whole
/// and no launch of the host falls into the interval. Gives up after kBlockerSeconds and writes 1 to *has_given_up.
inline constexpr std::uint64_t kBlockerSeconds = 10;
void launch_blocker(const volatile int* flag, volatile int* has_given_up, cudaStream_t stream);

}  // namespace traincost::bench::cuda
