#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include <kernels/common/address.hpp>
#include <kernels/common/ptx.cuh>

/// A 128 x 128 tile of a product on mma.sync (sm_80 and later): operands through shared memory with cp.async, fragments
/// with ldmatrix, fp32 accumulators in registers.
namespace traincost::kernels::mma {

constexpr int kTile = 128;  // rows of a and of b
constexpr int kDepth = 32;  // of the reduction per stage
constexpr int kStages = 4;
constexpr int kThreads = 256;  // 2 x 4 warps of 64 x 32 each
constexpr int kChunk = 8;      // elements of a 16-byte copy
constexpr int kOperandBytes = kTile * kDepth * 2;
constexpr int kStageBytes = 2 * kOperandBytes;
constexpr int kSharedBytes = kStages * kStageBytes;
constexpr int kFragmentsM = 4, kFragmentsN = 4;         // of 16 and of 8
constexpr int kCopies = kOperandBytes / 16 / kThreads;  // per thread and operand

/// How an operand lies in memory: rows of the reduction (its `outer` index strided) or columns of it.
enum class Major { reduction, outer };

/// A matrix [outer, reduction] (or its transpose in memory), of which a tile begins at outer_begin.
struct Operand {
  const __nv_bfloat16* data;
  int stride;  // elements between rows of memory
  int outer_begin, outer_end, reduction_end;
};

/// Byte offset of a 16-byte chunk in an operand's tile. The exclusive or spreads the eight rows of an ldmatrix and the
/// eight chunks of a copy over all banks.
template <Major kMajor>
__device__ __forceinline__ int chunk_offset(int row, int chunk) {
  if constexpr (kMajor == Major::reduction)
    return row * (kDepth * 2) + (chunk ^ (row / 2 % 4)) * 16;  // 128 rows of 4 chunks
  else
    return row * (kTile * 2) + (chunk ^ (row % 8)) * 16;  // 32 rows of 16 chunks
}

/// Starts the copy of the operand's columns [begin, begin + kDepth) of the reduction; outside of the matrix: zeros.
template <Major kMajor>
__device__ __forceinline__ void copy_async(const Operand& m, int begin, std::uint32_t shared) {
  constexpr int kChunksPerRow = (kMajor == Major::reduction ? kDepth : kTile) / kChunk;
#pragma unroll
  for (int i = 0; i < kCopies; ++i) {
    const int index = i * kThreads + static_cast<int>(threadIdx.x);
    const int row = index / kChunksPerRow;
    const int chunk = index % kChunksPerRow;
    const int outer = m.outer_begin + (kMajor == Major::reduction ? row : chunk * kChunk);
    const int reduction = begin + (kMajor == Major::reduction ? chunk * kChunk : row);
    const bool exists = outer < m.outer_end && reduction < m.reduction_end;
    const std::int64_t at =
        kMajor == Major::reduction ? row_offset(outer, m.stride) + reduction : row_offset(reduction, m.stride) + outer;
    ptx::cp_async_16(shared + chunk_offset<kMajor>(row, chunk), m.data + (exists ? at : 0), exists ? 16 : 0);
  }
}

/// The m16 x k16 fragment of a at (outer, reduction) within the tile.
template <Major kMajor>
__device__ __forceinline__ void load_a(std::uint32_t (&r)[4], std::uint32_t shared, int outer, int reduction) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int matrix = lane / 8;
  if constexpr (kMajor == Major::reduction)
    ptx::ldmatrix_x4(r, shared + chunk_offset<kMajor>(outer + lane % 16, reduction / kChunk + lane / 16));
  else
    ptx::ldmatrix_x4_trans(
        r, shared + chunk_offset<kMajor>(reduction + matrix / 2 * 8 + lane % 8, outer / kChunk + matrix % 2));
}

/// Two n8 x k16 fragments of b, at outer and outer + 8: r[0], r[1] and r[2], r[3].
template <Major kMajor>
__device__ __forceinline__ void load_b(std::uint32_t (&r)[4], std::uint32_t shared, int outer, int reduction) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int matrix = lane / 8;
  if constexpr (kMajor == Major::reduction)
    ptx::ldmatrix_x4(r,
                     shared + chunk_offset<kMajor>(outer + matrix / 2 * 8 + lane % 8, reduction / kChunk + matrix % 2));
  else
    ptx::ldmatrix_x4_trans(
        r, shared + chunk_offset<kMajor>(reduction + matrix % 2 * 8 + lane % 8, outer / kChunk + matrix / 2));
}

struct Accumulator {
  float c[kFragmentsM][kFragmentsN][4];
};

template <Major kMajorA, Major kMajorB>
__device__ __forceinline__ void multiply_stage(Accumulator& acc, std::uint32_t a, std::uint32_t b) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int row = warp / 4 * 64;
  const int column = warp % 4 * 32;
#pragma unroll
  for (int depth = 0; depth < kDepth; depth += 16) {
    std::uint32_t fa[kFragmentsM][4];
    std::uint32_t fb[kFragmentsN / 2][4];
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) load_a<kMajorA>(fa[i], a, row + i * 16, depth);
#pragma unroll
    for (int j = 0; j < kFragmentsN / 2; ++j) load_b<kMajorB>(fb[j], b, column + j * 16, depth);
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i)
#pragma unroll
      for (int j = 0; j < kFragmentsN; ++j)
        ptx::mma_m16n8k16_bf16(acc.c[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
  }
}

/// The tile's product over the whole reduction, kStages - 1 copies ahead of the arithmetic.
template <Major kMajorA, Major kMajorB>
__device__ __forceinline__ Accumulator multiply(const Operand& a, const Operand& b, std::uint32_t shared) {
  const int steps = (a.reduction_end + kDepth - 1) / kDepth;
  const auto copy_step = [&](int step) {
    if (step < steps) {
      const std::uint32_t stage = shared + step % kStages * kStageBytes;
      copy_async<kMajorA>(a, step * kDepth, stage);
      copy_async<kMajorB>(b, step * kDepth, stage + kOperandBytes);
    }
    ptx::cp_async_commit_group();  // an empty group keeps the count of groups equal to the count of steps
  };
  Accumulator acc = {};
  for (int step = 0; step < kStages - 1; ++step) copy_step(step);
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait_group<kStages - 2>();
    __syncthreads();  // the step has arrived for all, and all have left the stage that the next copy fills
    copy_step(step + kStages - 1);
    const std::uint32_t stage = shared + step % kStages * kStageBytes;
    multiply_stage<kMajorA, kMajorB>(acc, stage, stage + kOperandBytes);
  }
  ptx::cp_async_wait_group<0>();
  __syncthreads();  // the next tile may overwrite every stage
  return acc;
}

/// Calls store(row, column, low, high) for each pair of neighbouring elements that this thread holds.
template <class Store>
__device__ __forceinline__ void for_each_pair(const Accumulator& acc, Store store) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
  for (int i = 0; i < kFragmentsM; ++i)
#pragma unroll
    for (int j = 0; j < kFragmentsN; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        store(warp / 4 * 64 + i * 16 + half * 8 + lane / 4, warp % 4 * 32 + j * 8 + lane % 4 * 2, acc.c[i][j][half * 2],
              acc.c[i][j][half * 2 + 1]);
}

}  // namespace traincost::kernels::mma
