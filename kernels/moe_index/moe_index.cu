#include <algorithm>

#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/moe_index/moe_index.hpp>

/// A stable counting sort in three launches: count per chunk, scan, scatter. A chunk belongs to a block; within it a
/// warp owns a contiguous piece, so that ranks follow from slot order alone.
namespace traincost::kernels::moe_index {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kRounds = 8;  // of 32 slots per warp: more rounds, fewer histograms to scan
constexpr int kSlotsPerWarp = kRounds * kWarpSize;
constexpr int kSlotsPerBlock = kWarps * kSlotsPerWarp;

std::int64_t chunks(std::int64_t slots) { return std::max<std::int64_t>(1, ceil_div(slots, kSlotsPerBlock)); }

__device__ __forceinline__ int expert_of(const Params& p, std::int64_t slot) {
  if (slot >= p.slots) return -1;
  const int id = p.ids[slot];
  return id >= 0 && id < p.num_experts ? id : -1;
}

__device__ __forceinline__ std::int64_t first_slot(int warp) {
  return static_cast<std::int64_t>(blockIdx.x) * kSlotsPerBlock + warp * kSlotsPerWarp;
}

/// chunk_counts [chunks, num_experts].
__global__ void __launch_bounds__(kThreads) count_kernel(Params p, int* chunk_counts) {
  __shared__ int histogram[kMaxExperts];
  const int thread = static_cast<int>(threadIdx.x);
  for (int e = thread; e < p.num_experts; e += kThreads) histogram[e] = 0;
  __syncthreads();
  const std::int64_t begin = first_slot(0);
  for (int i = thread; i < kSlotsPerBlock; i += kThreads) {
    const int expert = expert_of(p, begin + i);
    if (expert >= 0) atomicAdd(&histogram[expert], 1);
  }
  __syncthreads();
  int* counts = chunk_counts + row_offset(blockIdx.x, p.num_experts);
  for (int e = thread; e < p.num_experts; e += kThreads) counts[e] = histogram[e];
}

/// chunk_rows [chunks, num_experts]: the first row of each; one thread per expert.
__global__ void __launch_bounds__(kMaxExperts)
    scan_kernel(Params p, const int* __restrict__ chunk_counts, int* __restrict__ chunk_rows, int num_chunks) {
  __shared__ int shared[kMaxExperts / kWarpSize];
  const int expert = static_cast<int>(threadIdx.x);
  const bool exists = expert < p.num_experts;
  int count = 0;
  if (exists) {
#pragma unroll 8
    for (int c = 0; c < num_chunks; ++c) count += chunk_counts[row_offset(c, p.num_experts) + expert];
  }
  const int padded = (count + p.alignment - 1) / p.alignment * p.alignment;
  const int end = block_inclusive_sum<kMaxExperts>(padded, shared);
  if (!exists) return;
  p.counts[expert] = count;
  p.offsets[expert + 1] = end;
  if (expert == 0) p.offsets[0] = 0;
  int row = end - padded;
#pragma unroll 8
  for (int c = 0; c < num_chunks; ++c) {
    chunk_rows[row_offset(c, p.num_experts) + expert] = row;
    row += chunk_counts[row_offset(c, p.num_experts) + expert];
  }
}

/// Rows without a slot: behind each expert's last, and behind the last expert.
__device__ __forceinline__ void mark_padding(const Params& p) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int e = static_cast<int>(blockIdx.x); e <= p.num_experts; e += static_cast<int>(gridDim.x)) {
    const bool is_expert = e < p.num_experts;
    const std::int64_t begin = is_expert ? p.offsets[e] + p.counts[e] : p.offsets[e];
    const std::int64_t end = is_expert ? p.offsets[e + 1] : row_capacity(p.slots, p.num_experts, p.alignment);
    for (std::int64_t row = begin + thread; row < end; row += kThreads) p.slot_of_row[row] = -1;
  }
}

__global__ void __launch_bounds__(kThreads) scatter_kernel(Params p, const int* chunk_rows) {
  __shared__ int next_row[kWarps][kMaxExperts];  // first the counts of each warp, then its next free row
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarpSize;
  const int warp = thread / kWarpSize;
  for (int i = thread; i < kWarps * kMaxExperts; i += kThreads) next_row[i / kMaxExperts][i % kMaxExperts] = 0;
  __syncthreads();

  const std::int64_t begin = first_slot(warp);
  int expert[kRounds];
#pragma unroll
  for (int r = 0; r < kRounds; ++r) {
    expert[r] = expert_of(p, begin + r * kWarpSize + lane);
    if (expert[r] >= 0) atomicAdd(&next_row[warp][expert[r]], 1);
  }
  __syncthreads();

  for (int e = thread; e < p.num_experts; e += kThreads) {
    int row = chunk_rows[row_offset(blockIdx.x, p.num_experts) + e];
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const int rows = next_row[w][e];
      next_row[w][e] = row;
      row += rows;
    }
  }
  __syncthreads();

#pragma unroll
  for (int r = 0; r < kRounds; ++r) {
    const std::int64_t slot = begin + r * kWarpSize + lane;
    const unsigned same = __match_any_sync(kFullMask, expert[r]);
    const int rank = __popc(same & ((1U << lane) - 1));
    int row = -1;
    if (expert[r] >= 0) row = next_row[warp][expert[r]] + rank;
    __syncwarp();
    if (expert[r] >= 0 && rank == 0) next_row[warp][expert[r]] = row + __popc(same);
    __syncwarp();
    if (slot < p.slots) p.row_of_slot[slot] = row;
    if (row >= 0) p.slot_of_row[row] = static_cast<int>(slot);
  }
  mark_padding(p);
}

}  // namespace

std::size_t workspace_bytes(std::int64_t slots, int num_experts) {
  return 2 * static_cast<std::size_t>(chunks(slots)) * num_experts * sizeof(int);  // counts, then first rows
}

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  const int num_chunks = static_cast<int>(chunks(params.slots));
  auto* chunk_counts = static_cast<int*>(params.workspace);
  auto* chunk_rows = chunk_counts + row_offset(num_chunks, params.num_experts);
  count_kernel<<<num_chunks, kThreads, 0, stream>>>(params, chunk_counts);
  scan_kernel<<<1, kMaxExperts, 0, stream>>>(params, chunk_counts, chunk_rows, num_chunks);
  scatter_kernel<<<num_chunks, kThreads, 0, stream>>>(params, chunk_rows);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::moe_index
