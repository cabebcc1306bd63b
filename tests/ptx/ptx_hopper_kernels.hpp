#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>

namespace ptx::test {

/// A warp-specialised product on TMA and wgmma, each with one fault; kNone is the correct one.
enum class Pipeline {
  kNone,
  kNoFullWait,
  kNoEmptyWait,
  kTooManyBytes,  // expected
  kTooFewBytes,
  kWrongSwizzle,  // of the descriptor
  kNoCommit,
  kNoProductWait,    // before the accumulators are read
  kEmptyBeforeWait,  // the stage is given back while its product is in flight
  kNoProductFence,   // wgmma.fence
  kNoBarrierInit,
  kOneWarpReleases,  // the empty barrier counts one arrival for a warpgroup that has not met
  kTouchesStage,     // a thread writes to a stage that a copy fills
};

inline constexpr int kPipelineRows = 64, kPipelineColumns = 64, kPipelineDepth = 64;  // of a stage

/// output[64, 64] = a[64, k] b[64, k]^T
void launch_pipeline(Pipeline fault, const __nv_bfloat16* a, const __nv_bfloat16* b, float* output, int k);

/// Shared memory written by threads and read by the async proxy.
enum class Proxy { kNone, kNoFence, kNoCommit, kNoReadWait, kNoWait };
/// output[i] = input[i] + 1 by way of a bulk store; n a multiple of 4, at most 1024.
void launch_proxy(Proxy fault, const float* input, float* output, int n);

/// Two blocks of a cluster: each loads half of a tile for both, adds what its peer wrote into its shared memory.
enum class Clusters { kNone, kNoWaitAtEnd, kNoClusterBarrier, kPastTheCluster, kHalfTheBytes };
/// output[block][32 * 32] = the tile (32 x 32 floats) + the number of the other block
void launch_cluster(Clusters fault, const float* tile, float* output);

/// The box of a tensor map as it lies in shared memory: 2 to 3 dimensions.
void launch_box_load(const CUtensorMap& map, std::array<int, 3> at, int dimensions, int bytes, std::uint8_t* output);
/// The box written back from linear shared memory that holds 0, 1, 2, ... as 32-bit numbers.
void launch_box_store(const CUtensorMap& map, std::array<int, 2> at, int bytes);

/// A grid that doubles n numbers, and one that may start before it has ended and adds one.
enum class Dependent {
  kNone,
  kOneThreadWaits,  // and all meet it at a barrier: right
  kNoWait,
  kReadsBeforeWait,
  kWritesBeforeWait,  // what the first grid reads
  kNoBarrierAfterOneWaits
};
void launch_doubling(float* in, float* data, int n);
void launch_adding(Dependent fault, float* in, const float* data, float* out, int n, bool is_dependent);
/// Touches nothing.
void launch_between(bool waits);

}  // namespace ptx::test
