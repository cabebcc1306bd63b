#pragma once

#include <kernels/attention/sm90/backward.cuh>

/// What the multiplying warpgroups of the backward pass do with a tile of queries.
namespace traincost::kernels::attention::sm90 {

/// fp16 pairs.
template <int kCount>
__device__ __forceinline__ void pack_half(std::uint32_t (&to)[kCount / 2], const float (&from)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(to[i]) : "f"(from[2 * i + 1]), "f"(from[2 * i]));
}
__device__ __forceinline__ float2 unpack_half(std::uint32_t pair) {
  float2 both;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %2; cvt.f32.f16 %0, low; cvt.f32.f16 %1, high; }"
      : "=f"(both.x), "=f"(both.y)
      : "r"(pair));
  return both;
}

__device__ __forceinline__ float2 load_pair(std::uint32_t shared) {
  float2 pair;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(pair.x), "=f"(pair.y) : "r"(shared) : "memory");
  return pair;
}

/// A warpgroup's share: 64 keys, and half of the columns of grad_q.
template <class S>
struct Consumer {
  static constexpr int kScores = kQueries / 2;  // registers of 64 x 64

  const Shared<S>& shared;
  const Args& a;
  const Tile& tile;
  const Sequence& sequence;
  int warpgroup;

  [[nodiscard]] __device__ __forceinline__ int key() const { return tile.key() + warpgroup * kWarpgroupRows; }

  /// Starts s = k q^T.
  __device__ __forceinline__ void multiply_queries(int stage, float (&s)[kScores]) const {
    const std::uint64_t k =
        ptx::matrix_descriptor<S::kKeyRowBytes>(shared.k + warpgroup * kWarpgroupRows * S::kKeyRowBytes, 0);
    const std::uint64_t q = ptx::matrix_descriptor(shared.q(stage), 0);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < S::kDQk / 16; ++i)
      ptx::wgmma<Order::reduction, Order::reduction>(Bf16{}, s, k + (i / 2 * S::kKeyBoxBytes + i % 2 * 32) / 16,
                                                     q + (i / 4 * S::kQueryBoxBytes + i % 4 * 32) / 16, i != 0);
    ptx::wgmma_commit_group();
  }

  /// Starts dp = v grad_out^T.
  __device__ __forceinline__ void multiply_grad_out(int stage, float (&dp)[kScores]) const {
    const std::uint64_t v = ptx::matrix_descriptor(shared.v + warpgroup * kWarpgroupRows * kRowBytes, 0);
    const std::uint64_t grad_out = ptx::matrix_descriptor(shared.grad_out(stage), 0);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kDV / 16; ++i)
      ptx::wgmma<Order::reduction, Order::reduction>(Bf16{}, dp, v + (i / 4 * S::kValueBoxBytes + i % 4 * 32) / 16,
                                                     grad_out + (i / 4 * S::kQueryBoxBytes + i % 4 * 32) / 16, i != 0);
    ptx::wgmma_commit_group();
  }

  /// Starts c += a b, where b lies across the reduction: 64 queries.
  template <int kCount>
  __device__ __forceinline__ void accumulate(float (&c)[kCount], const std::uint32_t (&left)[kScores / 2],
                                             std::uint32_t right) const {
    const std::uint64_t b = ptx::matrix_descriptor(right, S::kQueryBoxBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kQueries / 16; ++i)
      ptx::wgmma<Order::outer>(c, left + 4 * i, b + i * 16 * kRowBytes / 16, true);
    ptx::wgmma_commit_group();
  }

  /// Starts grad_q = ds k over the block's keys, this warpgroup's columns.
  __device__ __forceinline__ void multiply_keys(int stage, float (&grad_q)[S::kHalf / 2]) const {
    const std::uint64_t ds = ptx::matrix_descriptor(shared.ds(stage), 0);
    const std::uint64_t k = ptx::matrix_descriptor<S::kKeyRowBytes>(
        shared.k + warpgroup * (S::kHalf * 2 / S::kKeyRowBytes) * S::kKeyBoxBytes, S::kKeyBoxBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i)
      ptx::wgmma<Order::outer, Order::outer>(Bf16{}, grad_q, ds + i * 16 * kRowBytes / 16,
                                             k + i * 16 * S::kKeyRowBytes / 16, i != 0);
    ptx::wgmma_commit_group();
  }

  /// Scores of keys that a query does not see become minus infinity.
  __device__ __forceinline__ void mask(float (&s)[kScores], int query) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int at = key() + row() + half * 8;
      // The tile's first query that sees this key.
      int first = a.is_causal ? at - (sequence.s_k - sequence.s_q) - query : 0;
      if (at >= sequence.s_k) first = kQueries;
#pragma unroll
      for (int i = half * 2; i < kScores; i += 4)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if (i / 4 * 8 + column() + e < first) s[i + e] = -INFINITY;
    }
  }

  /// p = exp(scores - lse), 2^kShift times.
  __device__ __forceinline__ void take_probabilities(float (&s)[kScores], int stage) const {
    const float scale = a.sm_scale * kLog2E;
#pragma unroll
    for (int i = 0; i < kScores; i += 4) {
      const float2 lse = load_pair(shared.row_values(stage) + 4 * (i / 4 * 8 + column()));
      s[i] = ptx::ex2_approx(s[i] * scale - lse.x);
      s[i + 1] = ptx::ex2_approx(s[i + 1] * scale - lse.y);
      s[i + 2] = ptx::ex2_approx(s[i + 2] * scale - lse.x);
      s[i + 3] = ptx::ex2_approx(s[i + 3] * scale - lse.y);
    }
  }

  /// dp becomes ds = p (dp - delta). probability(i): elements i and i + 1 of p.
  template <class Probability>
  __device__ __forceinline__ void take_gradients(float (&dp)[kScores], Probability probability, int stage) const {
#pragma unroll
    for (int i = 0; i < kScores; i += 4) {
      const float2 delta = load_pair(shared.row_values(stage) + 4 * (kQueries + i / 4 * 8 + column()));
#pragma unroll
      for (int half = 0; half < 4; half += 2) {
        const float2 p = probability(i + half);
        dp[i + half] = p.x * (dp[i + half] - delta.x);
        dp[i + half + 1] = p.y * (dp[i + half + 1] - delta.y);
      }
    }
  }

  /// From the scores to grad_v, whose product may be left in flight, and ds.
  __device__ __forceinline__ void take_scores(int stage, int query, float (&grad_v)[kDV / 2],
                                              std::uint32_t (&p)[kScores / 2], std::uint32_t (&ds)[kScores / 2]) const {
    float s[kScores];
    float dp[kScores];
    multiply_queries(stage, s);
    if constexpr (!S::kIsTight) multiply_grad_out(stage, dp);
    ptx::wgmma_wait_group<S::kIsTight ? 0 : 1>();
    ptx::hold(s);
    if (key() + kWarpgroupRows > sequence.visible(query, a.is_causal)) mask(s, query);
    take_probabilities(s, stage);
    pack(p, s);
    ptx::hold(p);
    if constexpr (S::kIsTight) {
      std::uint32_t kept[kScores / 2];  // as fp16: half the registers of fp32, and finer than the bf16 of the product
      pack_half(kept, s);
      ptx::hold(kept);
      accumulate(grad_v, p, shared.grad_out(stage));
      ptx::wgmma_wait_group<0>();
      ptx::hold(grad_v);
      multiply_grad_out(stage, dp);
      ptx::wgmma_wait_group<0>();
      ptx::hold(dp);
      take_gradients(
          dp, [&](int i) { return unpack_half(kept[i / 2]); }, stage);
    } else {
      accumulate(grad_v, p, shared.grad_out(stage));
      ptx::wgmma_wait_group<1>();
      ptx::hold(dp);
      take_gradients(
          dp, [&](int i) { return make_float2(s[i], s[i + 1]); }, stage);
    }
    pack(ds, dp);
    ptx::hold(ds);
  }

  /// ds, keys x queries, for the other warpgroup too.
  __device__ __forceinline__ void share(const std::uint32_t (&ds)[kScores / 2], int stage) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int at = static_cast<int>(threadIdx.x) / 32 * 16 + lane % 16;  // a row
    const std::uint32_t to = shared.ds(stage) + at * kRowBytes;
#pragma unroll
    for (int i = 0; i < kScores / 2; i += 4) {
      const std::uint32_t r[4] = {ds[i], ds[i + 1], ds[i + 2], ds[i + 3]};
      ptx::stmatrix_x4(to + ((i / 2 + lane / 16) ^ (at % 8)) * 16, r);
    }
    ptx::fence_proxy_async();
    release(shared.ds_full(stage));
  }

  /// Blocks start in the order of their index: whoever waits, waits for one that runs or is done.
  __device__ __forceinline__ void wait_for_turn(const int* turn) const {
    if (threadIdx.x % 128 == 0) {
      int seen;
      do {
        __nanosleep(32);
        asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(seen) : "l"(turn) : "memory");
      } while (seen != tile.block);
    }
    ptx::barrier_sync(kWarpgroup + warpgroup, 128);
  }
  __device__ __forceinline__ void end_turn(int* turn) const {
    __threadfence();
    ptx::barrier_sync(kWarpgroup + warpgroup, 128);
    if (threadIdx.x % 128 == 0) atomicAdd(turn, 1);
  }

  __device__ __forceinline__ void add_grad_q(const float (&grad_q)[S::kHalf / 2], std::int64_t index) const {
    int* turn = a.workspace.turns + index * 2 + warpgroup;
    if (a.is_deterministic) wait_for_turn(turn);
    float* to = a.workspace.grad_q + (index * 2 + warpgroup) * (kQueries * S::kHalf) + threadIdx.x % 128 * 4;
#pragma unroll
    for (int i = 0; i < S::kHalf / 2; i += 4)
      ptx::red_add_v4(to + i * 128, grad_q[i], grad_q[i + 1], grad_q[i + 2], grad_q[i + 3]);
    if (a.is_deterministic) end_turn(turn);
  }

  __device__ __forceinline__ void step(int step, int h, int i, float (&grad_k)[S::kDQk / 2],
                                       float (&grad_v)[kDV / 2]) const {
    const int stage = stage_of(step);
    const int query = i * kQueries;
    ptx::mbarrier_wait(shared.full(stage), parity_of(step));
    if (query + kQueries > sequence.s_q) {
      clear_rows(shared.q(stage), S::kDQk / kBoxColumns, kQueries, sequence.s_q - query);
      clear_rows(shared.grad_out(stage), kDV / kBoxColumns, kQueries, sequence.s_q - query);
      ptx::barrier_sync<kAllConsumers, kConsumers>();
    }
    std::uint32_t p[kScores / 2];
    std::uint32_t ds[kScores / 2];
    take_scores(stage, query, grad_v, p, ds);
    share(ds, stage);
    accumulate(grad_k, ds, shared.q(stage));
    ptx::mbarrier_wait(shared.ds_full(stage), parity_of(step));
    float grad_q[S::kHalf / 2];
    if constexpr (S::kIsTight) {
      ptx::wgmma_wait_group<0>();
      ptx::hold(grad_k);
      multiply_keys(stage, grad_q);
    } else {
      multiply_keys(stage, grad_q);
      ptx::wgmma_wait_group<1>();
      ptx::hold(grad_v);
      ptx::hold(grad_k);
    }
    release(shared.empty(stage));
    ptx::wgmma_wait_group<0>();
    ptx::hold(grad_q);
    add_grad_q(grad_q, a.workspace.index(h, sequence, tile.n, i));
  }

  __device__ __forceinline__ void run(float (&grad_k)[S::kDQk / 2], float (&grad_v)[kDV / 2]) const {
    ptx::mbarrier_wait(shared.keys_full(), 0);
    if (tile.key() + kKeys > sequence.s_k) {
      clear_rows(shared.k, S::kDQk * 2 / S::kKeyRowBytes, kKeys, sequence.s_k - tile.key(), S::kKeyRowBytes);
      clear_rows(shared.v, kDV / kBoxColumns, kKeys, sequence.s_k - tile.key());
      ptx::barrier_sync<kAllConsumers, kConsumers>();
    }
    for_each_step(a, tile, [&](int t, int h, int i) { step(t, h, i, grad_k, grad_v); });
  }
};

}  // namespace traincost::kernels::attention::sm90
