#pragma once

#include <algorithm>
#include <cstdint>

#include <kernels/common/cuda_check.hpp>
#include <kernels/common/device.hpp>
#include <kernels/common/gemm_sm90.cuh>

/// Which tiles of the experts' products a persistent block computes.
namespace traincost::kernels::gemm_sm90 {

struct Experts {
  int count = 0;
  const int* first_row = nullptr;  // [count]; nullptr: expert e begins at e * capacity
  const int* rows = nullptr;       // [count]; nullptr: capacity
  int capacity = 0;

  __device__ __forceinline__ int first(int expert) const {
    return first_row != nullptr ? first_row[expert] : expert * capacity;
  }
  __device__ __forceinline__ int rows_of(int expert) const { return rows != nullptr ? rows[expert] : capacity; }
};

struct Tile {
  int expert, row, column;  // row and column in elements
};

// Blocks that run together cover a patch about this wide, so that both operands are shared through L2.
constexpr int kBandTiles = 8;

/// Tile `index` of rows x columns tiles: bands of kBandTiles columns, along the band's rows first.
template <int kBlockN>
__device__ __forceinline__ Tile tile_at(int expert, int index, int rows, int columns) {
  const int band = index / (rows * kBandTiles);
  const int within = index - band * rows * kBandTiles;
  const int width = min(kBandTiles, columns - band * kBandTiles);
  return {expert, within / width * kBlockM, (band * kBandTiles + within % width) * kBlockN};
}

__host__ __device__ constexpr int tiles(int elements, int block) { return (elements + block - 1) / block; }

/// Calls visit(tile) for this block's share of the tiles [rows of e, columns] of all experts.
template <int kBlockN, class Visit>
__device__ __forceinline__ void for_each_row_tile(const Experts& experts, int columns, Visit visit) {
  int next = static_cast<int>(blockIdx.x);
  const int across = tiles(columns, kBlockN);
  for (int e = 0; e < experts.count; ++e) {
    const int rows = tiles(experts.rows_of(e), kBlockM);
    for (; next < rows * across; next += static_cast<int>(gridDim.x)) visit(tile_at<kBlockN>(e, next, rows, across));
    next -= rows * across;
  }
}

/// The same when every expert has a matrix [rows, columns].
template <int kBlockN, class Visit>
__device__ __forceinline__ void for_each_matrix_tile(int experts, int rows, int columns, Visit visit) {
  const int down = tiles(rows, kBlockM);
  const int across = tiles(columns, kBlockN);
  for (int index = static_cast<int>(blockIdx.x); index < experts * down * across;
       index += static_cast<int>(gridDim.x)) {
    visit(tile_at<kBlockN>(index / (down * across), index % (down * across), down, across));
  }
}

/// One block on each multiprocessor, at most one a tile.
template <class S, class... Params>
void start(void (*kernel)(Params...), std::int64_t max_tiles, cudaStream_t stream, const Params&... params) {
  if (max_tiles == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(max_tiles, sm_count()));
  TRAINCOST_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes));
  kernel<<<blocks, kThreads, S::kSharedBytes, stream>>>(params...);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::gemm_sm90
