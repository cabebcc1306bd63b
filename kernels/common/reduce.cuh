#pragma once

#include <cstdint>

namespace traincost::kernels {

constexpr int kWarpSize = 32;
constexpr int kRowLanes = 4;  // hold a row of an accumulator fragment of mma.sync or wgmma
constexpr unsigned kFullMask = 0xffffffffU;

/// Sum over the `kWidth` lanes of each aligned segment of the warp, in a fixed order; every lane gets it.
template <int kWidth = kWarpSize>
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int step = kWidth / 2; step > 0; step /= 2) x += __shfl_xor_sync(kFullMask, x, step);
  return x;
}

/// Maximum over the `kWidth` lanes of each aligned segment; a NaN counts only if all are.
template <int kWidth = kWarpSize>
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = kWidth / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kFullMask, x, step));
  return x;
}

__device__ __forceinline__ int warp_inclusive_sum(int x, int lane) {
#pragma unroll
  for (int step = 1; step < kWarpSize; step *= 2) {
    const int below = __shfl_up_sync(kFullMask, x, step);
    if (lane >= step) x += below;
  }
  return x;
}

/// Inclusive prefix sum over the block's `kThreads` threads. `shared` holds kThreads / 32 ints and may be used again
/// after the next barrier.
template <int kThreads>
__device__ __forceinline__ int block_inclusive_sum(int x, int* shared) {
  constexpr int kWarps = kThreads / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int within = warp_inclusive_sum(x, lane);
  if (lane == kWarpSize - 1) shared[warp] = within;
  __syncthreads();
  if (warp == 0) {
    const int total = warp_inclusive_sum(lane < kWarps ? shared[lane] : 0, lane);
    if (lane < kWarps) shared[lane] = total;
  }
  __syncthreads();
  return within + (warp == 0 ? 0 : shared[warp - 1]);
}

}  // namespace traincost::kernels
