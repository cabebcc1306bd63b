#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>

#include <kernels/attention/attention.hpp>
#include <kernels/common/ptx_sm90.cuh>
#include <kernels/common/tensor_map.hpp>
#include <kernels/common/wgmma.cuh>

/// What forward and backward share: threads, shared memory, sequences, masks.
namespace traincost::kernels::attention::sm90 {

using Bf16 = __nv_bfloat16;
using ptx::Order;

constexpr int kDV = 128;
constexpr int kConsumers = 256;  // threads: two warpgroups that multiply
constexpr int kThreads = kConsumers + 128;
constexpr int kProducerRegisters = 24, kConsumerRegisters = 240;  // 128 * 24 + 256 * 240 = 384 * 168
constexpr int kWarpgroupRows = 64;
constexpr int kRowBytes = 128;  // of a box: what a swizzle spans
constexpr int kBoxColumns = kRowBytes / 2;
constexpr int kBoxBytes = 128 * kRowBytes;  // of 128 rows
constexpr float kLog2E = 1.4426950408889634F;

/// A block's step t lies in stage t % kStages, in its phase t / kStages.
constexpr int kStages = 2;
__device__ __forceinline__ int stage_of(int step) { return step % kStages; }
__device__ __forceinline__ std::uint32_t parity_of(int step) { return step / kStages % 2; }

/// Named barriers of a block.
enum Barrier : std::uint32_t { kAllConsumers = 1, kWarpgroup, kTurn = kWarpgroup + 2 };

/// Where a sequence's rows lie.
struct Sequence {
  int first_q, s_q, first_k, s_k;

  __device__ __forceinline__ Sequence(const int* cu_seqlens_q, const int* cu_seqlens_k, int n)
      : first_q(cu_seqlens_q[n]),
        s_q(cu_seqlens_q[n + 1] - first_q),
        first_k(cu_seqlens_k[n]),
        s_k(cu_seqlens_k[n + 1] - first_k) {}

  /// How many keys the query sees, as far as they exist.
  __device__ __forceinline__ int visible(int query, bool is_causal) const {
    return is_causal ? min(s_k, query + 1 + s_k - s_q) : s_k;
  }
};

/// Rows of all heads, [tokens, heads * d], of which a box of `box_rows` x `row_bytes` is copied at a time.
inline CUtensorMap rows_map(const Bf16* data, int tokens, int columns, int box_rows, int row_bytes = kRowBytes) {
  return tensor_map(data, {.rows = tokens,
                           .columns = columns,
                           .stride = columns,
                           .box_rows = box_rows,
                           .box_columns = row_bytes / 2,
                           .swizzle = row_bytes == kRowBytes ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B});
}

/// A head's rows from `row` on, `columns` of them in boxes side by side in shared memory.
__device__ __forceinline__ void copy_rows(std::uint32_t shared, const CUtensorMap* map, int column, int columns,
                                          int row, int rows, std::uint32_t barrier, int row_bytes = kRowBytes) {
  for (int i = 0; i < columns * 2 / row_bytes; ++i)
    ptx::cp_async_bulk_tensor_2d(shared + i * rows * row_bytes, map, column + i * row_bytes / 2, row, barrier);
}

/// Rows from `first` on become zeros in each box: they belong to other sequences and may hold anything. Followed by a
/// barrier of those who multiply.
__device__ __forceinline__ void clear_rows(std::uint32_t shared, int boxes, int rows, int first,
                                           int row_bytes = kRowBytes) {
  const int chunks = (rows - first) * row_bytes / 16;  // of a box
#pragma unroll 1
  for (int box = 0; box < boxes; ++box)
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < chunks; i += kConsumers) {
      const std::uint32_t at = shared + (box * rows + first) * row_bytes + i * 16;
      asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(at), "r"(0) : "memory");
    }
  ptx::fence_proxy_async();
}

/// One arrival for a warp.
__device__ __forceinline__ void release(std::uint32_t empty) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(empty);
}

/// Splits a block's threads: `produce` is called by one thread, `consume` by those that multiply.
template <class Produce, class Consume>
__device__ __forceinline__ void specialise(Produce produce, Consume consume) {
  if (threadIdx.x >= kConsumers) {
    ptx::setmaxnreg_dec<kProducerRegisters>();
    if (threadIdx.x < kConsumers + 32 && ptx::elect()) produce();
  } else {
    ptx::setmaxnreg_inc<kConsumerRegisters>();
    consume();
  }
}

/// An accumulator's element i lies in row() + i / 2 % 2 * 8 of the warpgroup's, column i / 4 * 8 + column() + i % 2.
__device__ __forceinline__ int row() {
  return static_cast<int>(threadIdx.x) % 128 / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4;
}
__device__ __forceinline__ int column() { return static_cast<int>(threadIdx.x) % 4 * 2; }

/// An accumulator as the left side of the next product.
template <int kCount>
__device__ __forceinline__ void pack(std::uint32_t (&to)[kCount / 2], const float (&from)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(to[i]) : "f"(from[2 * i + 1]), "f"(from[2 * i]));
}

}  // namespace traincost::kernels::attention::sm90
