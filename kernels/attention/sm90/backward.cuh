#pragma once

#include <kernels/attention/sm90/core.cuh>
#include <kernels/common/address.hpp>

/// What the three kernels of the backward pass hand on, by tiles of 64 queries. Sequence n has its tiles from first_q /
/// 64 + n on, so that no two sequences share one.
namespace traincost::kernels::attention::sm90 {

constexpr int kQueries = 64;               // of a tile
constexpr int kKeys = 128;                 // of a block
constexpr int kRowsFloats = 2 * kQueries;  // of a tile
constexpr int kRowsBytes = kRowsFloats * 4;

// Between the products probabilities count 2^14 times: as fp16 the small ones of long sequences are no subnormals then.
constexpr float kShift = 14;
constexpr float kUnshift = 0x1p-14F;

struct Workspace {
  int tiles;      // of a head
  float* grad_q;  // [h_q, tiles, 2 (warpgroup: half of the columns), d_qk / 8, 128 (thread), 4]: as wgmma holds it
  float* rows;    // [h_q, tiles, 2 (lse in powers of two less kShift, delta), kQueries]
  int* turns;     // [h_q, tiles, 2 (warpgroup)]: blocks of keys that have added to grad_q

  /// Of a head and the tile'th tile of sequence n.
  __device__ __forceinline__ std::int64_t index(int h, const Sequence& sequence, int n, int tile) const {
    return row_offset(h, tiles) + sequence.first_q / kQueries + n + tile;
  }
};

inline Workspace workspace(const Shape& s, void* data) {
  const int tiles = s.total_q / kQueries + s.b;
  const std::int64_t all = row_offset(s.h_q, tiles);
  auto* grad_q = static_cast<float*>(data);
  float* rows = grad_q + all * kQueries * s.d_qk;
  return {tiles, grad_q, rows, reinterpret_cast<int*>(rows + all * kRowsFloats)};
}

template <int kDQkOf>
struct Spec {
  static constexpr int kDQk = kDQkOf;
  // Registers: grad_k and grad_v of 64 keys take 128 or 160 of a thread's 240, scores and their gradients 32 each.
  static constexpr bool kIsTight = kDQk > 128;
  static constexpr int kHalf = kDQk / 2;   // columns of grad_q of a warpgroup
  static constexpr int kKeyRowBytes = 64;  // k in boxes of 32 columns, so that half of 192 are whole boxes
  static constexpr int kKeyBoxBytes = kKeys * kKeyRowBytes;
  static constexpr int kValueBoxBytes = kKeys * kRowBytes;
  static constexpr int kQueryBoxBytes = kQueries * kRowBytes;
  static constexpr int kKBytes = kKeys * kDQk * 2;
  static constexpr int kVBytes = kKeys * kDV * 2;
  static constexpr int kQBytes = kQueries * kDQk * 2;
  static constexpr int kGradOutBytes = kQueries * kDV * 2;
  static constexpr int kStageBytes = kQBytes + kGradOutBytes + kRowsBytes;
  static constexpr int kDsBytes = kKeys * kRowBytes;  // rows of kQueries
  static constexpr int kSharedBytes =
      1024 + kKBytes + kVBytes + kStages * (kStageBytes + kDsBytes) + 8 * (1 + 3 * kStages);
};

template <class S>
struct Shared {
  std::uint32_t k, v, queries, grad_outs, scores, rows, barriers;

  __device__ __forceinline__ explicit Shared(const void* dynamic) {
    k = (ptx::shared_address(dynamic) + 1023) / 1024 * 1024;
    v = k + S::kKBytes;
    queries = v + S::kVBytes;
    grad_outs = queries + kStages * S::kQBytes;
    scores = grad_outs + kStages * S::kGradOutBytes;
    rows = scores + kStages * S::kDsBytes;
    barriers = rows + kStages * kRowsBytes;
  }
  __device__ __forceinline__ std::uint32_t q(int stage) const { return queries + stage * S::kQBytes; }
  __device__ __forceinline__ std::uint32_t grad_out(int stage) const { return grad_outs + stage * S::kGradOutBytes; }
  __device__ __forceinline__ std::uint32_t ds(int stage) const { return scores + stage * S::kDsBytes; }
  __device__ __forceinline__ std::uint32_t row_values(int stage) const { return rows + stage * kRowsBytes; }
  __device__ __forceinline__ std::uint32_t keys_full() const { return barriers; }
  __device__ __forceinline__ std::uint32_t full(int stage) const { return barriers + 8 + 8 * stage; }
  __device__ __forceinline__ std::uint32_t empty(int stage) const { return full(kStages + stage); }
  __device__ __forceinline__ std::uint32_t ds_full(int stage) const { return full(2 * kStages + stage); }
};

struct Args {
  const int *cu_seqlens_q, *cu_seqlens_k;  // [b + 1]
  Workspace workspace;
  int h_q, h_kv, blocks;  // blocks of keys in the longest sequence
  bool is_causal, is_deterministic;
  float sm_scale;
  Bf16 *grad_k, *grad_v;  // [total_k, h_kv, d_qk], [total_k, h_kv, kDV]
};

/// A block's keys and the tiles of queries that see any of them. The first keys, which the most queries see, start
/// first; a head's blocks run side by side and share its queries through L2.
struct Tile {
  int n, h_kv, block;
  int first_tile = 0, tiles = 0;  // of queries; for each head of the group

  __device__ __forceinline__ explicit Tile(const Args& a) {
    const int head = static_cast<int>(blockIdx.x) / a.blocks;
    block = static_cast<int>(blockIdx.x) % a.blocks;
    n = head / a.h_kv;
    h_kv = head % a.h_kv;
  }
  __device__ __forceinline__ int key() const { return block * kKeys; }
  __device__ __forceinline__ void find_queries(const Sequence& sequence, bool is_causal) {
    const int all = (sequence.s_q + kQueries - 1) / kQueries;
    first_tile = is_causal ? max(key() - (sequence.s_k - sequence.s_q), 0) / kQueries : 0;
    tiles = max(all - first_tile, 0);
  }
};

template <class S>
__device__ __forceinline__ void init_barriers(const Shared<S>& shared) {
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(shared.keys_full(), 1);
    for (int stage = 0; stage < kStages; ++stage) {
      ptx::mbarrier_init(shared.full(stage), 1);
      ptx::mbarrier_init(shared.empty(stage), kConsumers / 32);
      ptx::mbarrier_init(shared.ds_full(stage), kConsumers / 32);
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
}

struct Maps {
  const CUtensorMap *q, *k, *v, *grad_out;
};

/// Calls visit(step, head, tile) for the tiles of queries of all heads of the group.
template <class Visit>
__device__ __forceinline__ void for_each_step(const Args& a, const Tile& tile, Visit visit) {
  const int heads = a.h_q / a.h_kv;
  int step = 0;
  for (int h = tile.h_kv * heads; h < (tile.h_kv + 1) * heads; ++h)
    for (int i = 0; i < tile.tiles; ++i, ++step) visit(step, h, tile.first_tile + i);
}

/// Starts all copies. One thread.
template <class S>
__device__ __forceinline__ void produce(const Shared<S>& shared, const Maps& maps, const Args& a, const Tile& tile,
                                        const Sequence& sequence) {
  const int key = sequence.first_k + tile.key();
  ptx::mbarrier_arrive_expect_tx(shared.keys_full(), S::kKBytes + S::kVBytes);
  copy_rows(shared.k, maps.k, tile.h_kv * S::kDQk, S::kDQk, key, kKeys, shared.keys_full(), S::kKeyRowBytes);
  copy_rows(shared.v, maps.v, tile.h_kv * kDV, kDV, key, kKeys, shared.keys_full());
  for_each_step(a, tile, [&](int step, int h, int i) {
    const int stage = stage_of(step);
    const std::uint32_t full = shared.full(stage);
    const int query = sequence.first_q + i * kQueries;
    ptx::mbarrier_wait(shared.empty(stage), parity_of(step) ^ 1);
    ptx::mbarrier_arrive_expect_tx(full, S::kStageBytes);
    copy_rows(shared.q(stage), maps.q, h * S::kDQk, S::kDQk, query, kQueries, full);
    copy_rows(shared.grad_out(stage), maps.grad_out, h * kDV, kDV, query, kQueries, full);
    ptx::cp_async_bulk(shared.row_values(stage),
                       a.workspace.rows + a.workspace.index(h, sequence, tile.n, i) * kRowsFloats, kRowsBytes, full);
  });
}

}  // namespace traincost::kernels::attention::sm90
