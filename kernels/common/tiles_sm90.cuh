#pragma once

#include <algorithm>
#include <cstdint>

#include <kernels/common/device.hpp>
#include <kernels/common/gemm_sm90.cuh>
#include <kernels/common/launch.cuh>

/// Which tiles of the experts' products a persistent cluster computes: two at a time, side by side.
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

// Clusters that run together cover a patch about this many pairs wide, so that both operands are shared through L2.
constexpr int kBandPairs = 4;

/// This block's tile of pair `index` of rows x pairs: bands of kBandPairs pairs, along the band's rows first.
template <int kBlockN>
__device__ __forceinline__ Tile tile_at(int expert, int index, int rows, int pairs) {
  const int band = index / (rows * kBandPairs);
  const int within = index - band * rows * kBandPairs;
  const int width = min(kBandPairs, pairs - band * kBandPairs);
  const int pair = band * kBandPairs + within % width;
  return {expert, within / width * kBlockM, (pair * kCluster + static_cast<int>(ptx::cluster_ctarank())) * kBlockN};
}

__host__ __device__ constexpr int tiles(int elements, int block) { return (elements + block - 1) / block; }

/// Calls visit(tile) for this block's share of the tiles [rows of e, columns] of all experts. Both blocks of a cluster
/// are called equally often; the second's last tile may lie behind the columns.
template <int kBlockN, class Visit>
__device__ __forceinline__ void for_each_row_tile(const Experts& experts, int columns, Visit visit) {
  int next = static_cast<int>(blockIdx.x) / kCluster;
  const int clusters = static_cast<int>(gridDim.x) / kCluster;
  const int across = tiles(columns, kCluster * kBlockN);
  for (int e = 0; e < experts.count; ++e) {
    const int rows = tiles(experts.rows_of(e), kBlockM);
    for (; next < rows * across; next += clusters) visit(tile_at<kBlockN>(e, next, rows, across));
    next -= rows * across;
  }
}

/// The same when every expert has a matrix [rows, columns].
template <int kBlockN, class Visit>
__device__ __forceinline__ void for_each_matrix_tile(int experts, int rows, int columns, Visit visit) {
  const int down = tiles(rows, kBlockM);
  const int across = tiles(columns, kCluster * kBlockN);
  const int clusters = static_cast<int>(gridDim.x) / kCluster;
  for (int index = static_cast<int>(blockIdx.x) / kCluster; index < experts * down * across; index += clusters)
    visit(tile_at<kBlockN>(index / (down * across), index % (down * across), down, across));
}

/// One block on each multiprocessor, at most one cluster for each pair of tiles: `row_tiles` of them across `columns`.
template <class S, class... Params>
void start(void (*kernel)(Params...), std::int64_t row_tiles, int columns, cudaStream_t stream,
           const Params&... params) {
  const std::int64_t pairs = row_tiles * tiles(columns, kCluster * S::kBlockN);
  if (pairs == 0) return;
  const auto blocks = static_cast<unsigned>(kCluster * std::min<std::int64_t>(pairs, sm_count() / kCluster));
  launch_kernel(kernel, {blocks, kThreads, S::kSharedBytes, stream, kCluster}, params...);
}

}  // namespace traincost::kernels::gemm_sm90
