#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace ptx::test {

/// Kernels with one fault each; kNone is the correct one.
enum class Reduction {
  kNone,
  kNoRangeCheck,
  kWritesPastEnd,
  kMisaligned,
  kSharedPastEnd,
  kNoBarrierBefore,
  kNoBarrierInside,
  kNoWarpBarrier,
  kNothingStored,
  kReadsUnwrittenShared,
  kBarrierAfterExit,
  kBarrierInBranch,
  kBarrierTwice,
  kShuffleInBranch,
  kWrongMask,
  kTwoShuffles,
  kAssertion,
  kSpinsForEver
};
/// out[0] = the sum of in[0..n), one block of 128 threads.
void launch_reduction(Reduction fault, const float* in, float* out, int n, cudaStream_t stream);

enum class Histogram { kNone, kNoBarrierAfterZero, kNoBarrierBeforeRead, kNotAtomic };
void launch_histogram_fault(Histogram fault, const int* keys, int* counts, int n, cudaStream_t stream);

enum class Gemm { kNone, kNoWait, kWaitsForTooFew, kNoBarrierAfterWait, kNoBarrierAtEnd, kSwappedA, kSwappedB };
/// c[16, 32] = a[16, k] b[32, k]^T, one block of 128 threads, k a multiple of 16.
void launch_gemm(Gemm fault, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int k, cudaStream_t stream);

/// A producer and a consumer warp over a ring of two slots with named barriers.
enum class Ring { kNone, kNoFullWait, kNoEmptyWait, kNoArrive };
void launch_ring(Ring fault, const int* in, int* out, int steps, cudaStream_t stream);

}  // namespace ptx::test
