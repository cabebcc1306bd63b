#pragma once

#include <kernels/common/address.hpp>
#include <kernels/common/ptx_sm90.cuh>
#include <kernels/mla_decode/sm90/mla_decode_sm90.hpp>
#include <kernels/split_kv/pieces.cuh>

/// Who works on what in a block, where it lies in shared memory, and which barriers hand it on.
namespace traincost::kernels::mla_decode::sm90 {

using split_kv::Piece;

constexpr int kTokens = split_kv::kPageTokens;  // of a tile: a page
constexpr int kWarpgroup = 128;                 // threads
constexpr int kThreads = 3 * kWarpgroup;        // left and right half of the output, and who brings tiles
constexpr int kHalf = kLatent / 2;              // columns of the output

// A matrix lies as boxes of 64 rows x 64 columns, 128 bytes a row, under the 128-byte swizzle.
constexpr int kBoxColumns = 64;
constexpr int kBoxBytes = 64 * kBoxColumns * 2;
constexpr int kBoxes = kKeyDim / kBoxColumns;
constexpr int kHalfBoxes = kHalf / kBoxColumns;
constexpr int kTileBytes = kBoxes * kBoxBytes;

constexpr int kRopeBox = kBoxes - 1;

// A tile arrives and is given back in two parts. Each buffer's tiles are scored by the warpgroup of its number; the
// half of the values that this one keeps comes first, then the other's and the rotary elements.
constexpr int kParts = 2;
__host__ __device__ constexpr int half_of(int buffer, int part) { return part == 0 ? buffer : 1 - buffer; }
__host__ __device__ constexpr int boxes(int part) { return kHalfBoxes + part; }
/// Number `i` of a part.
__host__ __device__ constexpr int box_of(int buffer, int part, int i) {
  return i < kHalfBoxes ? half_of(buffer, part) * kHalfBoxes + i : kRopeBox;
}

constexpr int kSharedBytes = 1024 + 3 * kTileBytes + 6 * kRows * 4 + 96;
static_assert(kSharedBytes <= 227 << 10);

/// Of the block's named barriers.
enum Named : std::uint32_t { kFirstScored = 1, kFirstReady, kSecondReady, kSummed, kWarpgroups };

struct Shared {
  std::uint32_t base;

  __device__ __forceinline__ explicit Shared(const void* dynamic)
      : base((ptx::shared_address(dynamic) + 1023) / 1024 * 1024) {}
  __device__ __forceinline__ std::uint32_t queries() const { return base; }
  __device__ __forceinline__ std::uint32_t tile(int buffer) const { return base + (1 + buffer) * kTileBytes; }
  __device__ __forceinline__ std::uint32_t box(int buffer, int index) const { return tile(buffer) + index * kBoxBytes; }
  /// [64 rows, 64 tokens] over the tile's rotary elements, which nobody needs once it is scored.
  __device__ __forceinline__ std::uint32_t probabilities(int buffer) const { return box(buffer, kRopeBox); }
  __device__ __forceinline__ std::uint32_t largest(int buffer) const {
    return base + 3 * kTileBytes + buffer * kRows * 4;
  }
  /// Two of each warpgroup, in turn.
  __device__ __forceinline__ std::uint32_t sums(int turn, int of) const { return largest(2 + 2 * turn + of); }
  __device__ __forceinline__ std::uint32_t queries_full() const { return largest(6); }
  __device__ __forceinline__ std::uint32_t queries_empty() const { return queries_full() + 8; }
  __device__ __forceinline__ std::uint32_t full(int buffer, int part) const {
    return queries_full() + 16 + (buffer * kParts + part) * 8;
  }
  __device__ __forceinline__ std::uint32_t empty(int buffer, int part) const { return full(buffer + 2, part); }
};

__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x) % kWarpgroup; }
__device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
__device__ __forceinline__ int warp() { return thread() / 32; }
__device__ __forceinline__ int warpgroup() { return static_cast<int>(threadIdx.x) / kWarpgroup; }

/// Tiles of a piece; 0 for a sequence without tokens.
__device__ __forceinline__ int tiles_of(const Piece& piece) {
  return min(piece.end_page, (piece.length + kTokens - 1) / kTokens) - piece.begin_page;
}
__device__ __forceinline__ int first_token(const Piece& piece, int tile) { return (piece.begin_page + tile) * kTokens; }

/// kCluster: blocks that take the same pieces with other rows. Each brings half of every tile for both.
template <bool kIsFp8Cache, int kBlocks>
struct Variant {
  static constexpr bool kIsFp8 = kIsFp8Cache;
  static constexpr int kCluster = kBlocks;
  static_assert(kCluster == 1 || (kCluster == 2 && !kIsFp8));
};

/// One thread of each of the warpgroup's warps says that all have left something, or have written it.
__device__ __forceinline__ void arrive(std::uint32_t barrier) {
  __syncwarp();
  if (lane() == 0) ptx::mbarrier_arrive(barrier);
}

/// Gives part of a tile back to those who bring it.
template <class V>
__device__ __forceinline__ void release(std::uint32_t empty) {
  if constexpr (V::kCluster == 1) {
    arrive(empty);
  } else {
    __syncwarp();
    if (lane() < V::kCluster) ptx::mbarrier_arrive_cluster(ptx::mapa(empty, lane()));
  }
}

/// All blocks of the cluster.
template <class V>
__device__ __forceinline__ void sync_blocks() {
  if constexpr (V::kCluster == 1) {
    __syncthreads();
  } else {
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
  }
}

template <class V>
__device__ __forceinline__ void init_barriers(const Shared& shared) {
  constexpr int kWarps = kWarpgroup / 32;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(shared.queries_full(), 1);
    ptx::mbarrier_init(shared.queries_empty(), 2 * kWarps);
    for (int buffer = 0; buffer < 2; ++buffer)
      for (int part = 0; part < kParts; ++part) {
        ptx::mbarrier_init(shared.full(buffer, part), V::kIsFp8 ? kWarps : 1);
        ptx::mbarrier_init(shared.empty(buffer, part), V::kCluster * kWarps);
      }
    ptx::fence_mbarrier_init();
  }
  sync_blocks<V>();
}

}  // namespace traincost::kernels::mla_decode::sm90
