#include <kernels/attention/sm90/attention_sm90.hpp>
#include <kernels/attention/sm90/core.cuh>
#include <kernels/attention/sm90/order.hpp>
#include <kernels/common/launch.cuh>
#include <kernels/common/store_sm90.cuh>

/// A block takes 128 queries of one head, each of its two warpgroups 64. They walk the keys from the last tile to the
/// first; while one multiplies, the other takes its exponentials, and within a warpgroup the scores of a tile are
/// multiplied together with the probabilities of the one before (FlashAttention-3, arXiv 2407.08608,
/// sections 3.1, 3.2).
namespace traincost::kernels::attention::sm90 {
namespace {

constexpr int kBlockM = 128, kBlockN = 128;
constexpr int kVBytes = kBlockN * kDV * 2;
constexpr std::int64_t kL2Bytes = std::int64_t{32} << 20;  // of 50 MiB, so that what else passes drives nothing out

template <int kDQkOf>
struct Spec {
  static constexpr int kDQk = kDQkOf;

  static constexpr int kQBytes = kBlockM * kDQk * 2;
  static constexpr int kKBytes = kBlockN * kDQk * 2;
  static constexpr int kSharedBytes = 1024 + kQBytes + kStages * (kKBytes + kVBytes) + 8 * (1 + 4 * kStages);
};

template <class S>
struct Shared {
  std::uint32_t q, keys, values, barriers;

  __device__ __forceinline__ explicit Shared(const void* dynamic) {
    q = (ptx::shared_address(dynamic) + 1023) / 1024 * 1024;
    keys = q + S::kQBytes;
    values = keys + kStages * S::kKBytes;
    barriers = values + kStages * kVBytes;
  }
  __device__ __forceinline__ std::uint32_t k(int stage) const { return keys + stage * S::kKBytes; }
  __device__ __forceinline__ std::uint32_t v(int stage) const { return values + stage * kVBytes; }
  __device__ __forceinline__ std::uint32_t q_full() const { return barriers; }
  __device__ __forceinline__ std::uint32_t k_full(int stage) const { return barriers + 8 + 8 * stage; }
  __device__ __forceinline__ std::uint32_t v_full(int stage) const { return k_full(kStages + stage); }
  __device__ __forceinline__ std::uint32_t k_empty(int stage) const { return k_full(2 * kStages + stage); }
  __device__ __forceinline__ std::uint32_t v_empty(int stage) const { return k_full(3 * kStages + stage); }
};

struct Args {
  const int *cu_seqlens_q, *cu_seqlens_k;  // [b + 1]
  BlockOrder order;
  int h_q, h_kv;
  bool is_causal;
  float sm_scale;
  Bf16* out;   // [total_q, h_q, kDV]
  float* lse;  // [h_q, total_q]
  int total_q;
};

/// Which queries a block takes: of sequence n and head h from `query` on.
struct Tile {
  int n, h, query;

  __device__ __forceinline__ explicit Tile(const Args& a) {
    const Place place = place_of(a.order, static_cast<int>(blockIdx.x));
    n = place.head / a.h_q;
    h = place.head % a.h_q;
    query = place.block * kBlockM;
  }
};

template <class S>
__device__ __forceinline__ void init_barriers(const Shared<S>& shared) {
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(shared.q_full(), 1);
    for (int stage = 0; stage < 2 * kStages; ++stage) {
      ptx::mbarrier_init(shared.k_full(stage), 1);
      ptx::mbarrier_init(shared.k_empty(stage), kConsumers / 32);
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
}

struct Maps {
  const CUtensorMap *q, *k, *v;
};

/// Starts the copies of all steps; the last keys come first. One thread.
template <class S>
__device__ __forceinline__ void produce(const Shared<S>& shared, const Maps& maps, const Args& a, const Tile& tile,
                                        const Sequence& sequence, int steps) {
  const int head = tile.h / (a.h_q / a.h_kv);
  ptx::mbarrier_arrive_expect_tx(shared.q_full(), S::kQBytes);
  copy_rows(shared.q, maps.q, tile.h * S::kDQk, S::kDQk, sequence.first_q + tile.query, kBlockM, shared.q_full());
  for (int step = 0; step < steps; ++step) {
    const int stage = stage_of(step);
    const int row = sequence.first_k + (steps - 1 - step) * kBlockN;
    ptx::mbarrier_wait(shared.k_empty(stage), parity_of(step) ^ 1);
    ptx::mbarrier_arrive_expect_tx(shared.k_full(stage), S::kKBytes);
    copy_rows(shared.k(stage), maps.k, head * S::kDQk, S::kDQk, row, kBlockN, shared.k_full(stage));
    ptx::mbarrier_wait(shared.v_empty(stage), parity_of(step) ^ 1);
    ptx::mbarrier_arrive_expect_tx(shared.v_full(stage), kVBytes);
    copy_rows(shared.v(stage), maps.v, head * kDV, kDV, row, kBlockN, shared.v_full(stage));
  }
}

/// What a thread of the multiplying warpgroups holds: rows row() and row() + 8 of its warpgroup's.
struct State {
  float o[kDV / 2];
  std::uint32_t p[kBlockN / 4];  // probabilities of the step before, bf16
  float largest[2], sum[2];      // of the scores; this thread's part of the sum
};

/// Scores of a step into probabilities; `factor`: what the sums before must be multiplied by. `visible`: keys of the
/// tile that a row may see, when not all.
template <bool kIsMasked>
__device__ __forceinline__ void take_softmax(float (&s)[kBlockN / 2], State& state, float (&factor)[2],
                                             float scale_log2, const int (&visible)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = state.largest[half];
#pragma unroll
    for (int i = half * 2; i < kBlockN / 2; i += 4)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        if (kIsMasked && i / 4 * 8 + column() + e >= visible[half]) s[i + e] = -INFINITY;
        largest = fmaxf(largest, s[i + e]);
      }
    largest = fmaxf(largest, __shfl_xor_sync(~0U, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(~0U, largest, 2));
    const float base = largest == -INFINITY ? 0 : largest * scale_log2;
    factor[half] = ptx::ex2_approx(state.largest[half] * scale_log2 - base);
    state.largest[half] = largest;
    float sum = state.sum[half] * factor[half];
#pragma unroll
    for (int i = half * 2; i < kBlockN / 2; i += 4)
#pragma unroll
      for (int e = 0; e < 2; ++e) sum += s[i + e] = ptx::ex2_approx(s[i + e] * scale_log2 - base);
    state.sum[half] = sum;
  }
}

/// A warpgroup's walk over its block's keys.
template <class S>
struct Consumer {
  const Shared<S>& shared;
  const Args& a;
  int warpgroup, steps;
  int visible[2];  // keys of the sequence that this thread's rows see

  /// Starts s = q k^T.
  __device__ __forceinline__ void multiply_keys(int step, float (&s)[kBlockN / 2]) const {
    const std::uint64_t q = ptx::matrix_descriptor(shared.q + warpgroup * kWarpgroupRows * kRowBytes, 0);
    const std::uint64_t k = ptx::matrix_descriptor(shared.k(stage_of(step)), 0);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < S::kDQk / 16; ++i) {
      const int at = (i / 4 * kBoxBytes + i % 4 * 32) / 16;
      ptx::wgmma<Order::reduction, Order::reduction>(Bf16{}, s, q + at, k + at, i != 0);
    }
    ptx::wgmma_commit_group();
  }

  /// Starts o += p v.
  __device__ __forceinline__ void multiply_values(int step, State& state) const {
    const std::uint64_t v = ptx::matrix_descriptor(shared.v(stage_of(step)), kBoxBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kBlockN / 16; ++i)
      ptx::wgmma<Order::outer>(state.o, state.p + 4 * i, v + i * 16 * kRowBytes / 16, true);
    ptx::wgmma_commit_group();
  }

  template <bool kIsMasked>
  __device__ __forceinline__ void softmax(int step, float (&s)[kBlockN / 2], State& state, float (&factor)[2]) const {
    const int first = (steps - 1 - step) * kBlockN;
    take_softmax<kIsMasked>(s, state, factor, a.sm_scale * kLog2E, {visible[0] - first, visible[1] - first});
  }

  __device__ __forceinline__ void first_step(State& state, int s_k) const {
    ptx::mbarrier_wait(shared.k_full(0), 0);
    float s[kBlockN / 2];
    multiply_keys(0, s);
    ptx::mbarrier_wait(shared.v_full(0), 0);
    if (steps * kBlockN > s_k) {
      clear_rows(shared.v(0), kDV / kBoxColumns, kBlockN, s_k - (steps - 1) * kBlockN);
      ptx::barrier_sync<kAllConsumers, kConsumers>();
    }
    ptx::wgmma_wait_group<0>();
    ptx::hold(s);
    release(shared.k_empty(0));
    float factor[2];
    softmax<true>(0, s, state, factor);
    pack(state.p, s);
    ptx::hold(state.p);
  }

  /// Scores of a step beside the values of the one before, while the other warpgroup takes its exponentials.
  template <bool kIsMasked>
  __device__ __forceinline__ void next_step(int step, State& state) const {
    float s[kBlockN / 2];
    float factor[2];
    const int stage = stage_of(step), stage_before = stage_of(step - 1);
    ptx::mbarrier_wait(shared.k_full(stage), parity_of(step));
    if (warpgroup == 1 || step != 1) ptx::barrier_sync(kTurn + warpgroup, kConsumers);
    multiply_keys(step, s);
    ptx::mbarrier_wait(shared.v_full(stage_before), parity_of(step - 1));
    multiply_values(step - 1, state);
    if (warpgroup == 0 || step != steps - 1) ptx::barrier_arrive(kTurn + (warpgroup ^ 1), kConsumers);
    ptx::wgmma_wait_group<1>();
    ptx::hold(s);
    release(shared.k_empty(stage));
    softmax<kIsMasked>(step, s, state, factor);
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.o);
    release(shared.v_empty(stage_before));
#pragma unroll
    for (int i = 0; i < kDV / 2; ++i) state.o[i] *= factor[i / 2 % 2];
    pack(state.p, s);
    ptx::hold(state.p);
  }

  __device__ __forceinline__ void run(State& state, const Sequence& sequence, int masked_steps) const {
    ptx::mbarrier_wait(shared.q_full(), 0);
    first_step(state, sequence.s_k);
    int step = 1;
    for (; step < masked_steps; ++step) next_step<true>(step, state);
    for (; step < steps; ++step) next_step<false>(step, state);
    ptx::mbarrier_wait(shared.v_full(stage_of(steps - 1)), parity_of(steps - 1));
    multiply_values(steps - 1, state);
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.o);
  }
};

template <class S>
__device__ __forceinline__ void consume(const Shared<S>& shared, const Args& a, const Tile& tile,
                                        const Sequence& sequence, int steps) {
  const int warpgroup = __shfl_sync(~0U, static_cast<int>(threadIdx.x) / 128, 0);  // the same for the whole warp
  const int first = tile.query + warpgroup * kWarpgroupRows;
  State state;
#pragma unroll
  for (float& o : state.o) o = 0;
  for (int half = 0; half < 2; ++half) {
    state.largest[half] = -INFINITY;
    state.sum[half] = 0;
  }
  const Consumer<S> consumer{
      shared,
      a,
      warpgroup,
      steps,
      {sequence.visible(first + row(), a.is_causal), sequence.visible(first + row() + 8, a.is_causal)}};
  // Tiles that the warpgroup's first query sees whole need no mask.
  const int whole = max(sequence.visible(first, a.is_causal), 0) / kBlockN;
  if (steps > 0) consumer.run(state, sequence, steps - whole);
  const std::int64_t head_row = row_offset(tile.h, a.total_q) + sequence.first_q + first;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = state.sum[half];
    sum += __shfl_xor_sync(~0U, sum, 1);
    sum += __shfl_xor_sync(~0U, sum, 2);
    const float inverse = sum == 0 ? 0 : 1 / sum;
#pragma unroll
    for (int i = half * 2; i < kDV / 2; i += 4) {
      state.o[i] *= inverse;
      state.o[i + 1] *= inverse;
    }
    // A query that sees nothing: minus infinity.
    const int at = row() + half * 8;
    if (column() == 0 && first + at < sequence.s_q) a.lse[head_row + at] = state.largest[half] * a.sm_scale + logf(sum);
  }
  // The rows of q that this warpgroup multiplied are free.
  ptx::barrier_sync(kWarpgroup + warpgroup, 128);
  const int warp_row = first + static_cast<int>(threadIdx.x) % 128 / 32 * 16;
  const std::int64_t stride = row_offset(a.h_q, kDV);
  store_rows<kDV>(
      shared.q + static_cast<int>(threadIdx.x) / 32 * kStagingBytes, state.o,
      {a.out + row_offset(sequence.first_q + warp_row, stride) + tile.h * kDV, stride, sequence.s_q - warp_row, kDV});
}

template <class S>
__global__ void __launch_bounds__(kThreads, 1)
    forward_kernel(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
                   const __grid_constant__ CUtensorMap v, Args args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  const Tile tile(args);
  const Sequence sequence(args.cu_seqlens_q, args.cu_seqlens_k, tile.n);
  if (tile.query >= sequence.s_q) return;
  const int last = min(tile.query + kBlockM, sequence.s_q) - 1;
  const int steps = (max(sequence.visible(last, args.is_causal), 0) + kBlockN - 1) / kBlockN;
  extern __shared__ uint4 dynamic[];
  const Shared<S> shared(dynamic);
  init_barriers(shared);
  specialise(
      [&] {
        if (steps > 0) produce(shared, {&q, &k, &v}, args, tile, sequence, steps);
      },
      [&] { consume(shared, args, tile, sequence, steps); });
#endif
}

BlockOrder block_order(const Shape& s) {
  const int heads = s.b * s.h_q;
  const std::int64_t head_bytes = std::max<std::int64_t>(s.max_seqlen_k, 1) * (s.d_qk + s.d_v) * 2;
  const std::int64_t section = std::max<std::int64_t>(kL2Bytes / head_bytes, 1) * (s.h_q / s.h_kv);
  return {heads, static_cast<int>(ceil_div(s.max_seqlen_q, kBlockM)),
          static_cast<int>(std::min<std::int64_t>(section, heads))};
}

template <class S>
void launch(const Tensors& t, const Outputs& outputs, cudaStream_t stream) {
  const Shape& s = t.shape;
  const BlockOrder order = block_order(s);
  // Without keys there is nothing to map, and nothing is copied.
  const bool has_keys = s.total_k > 0;
  const CUtensorMap q = rows_map(t.q, s.total_q, s.h_q * S::kDQk, kBlockM);
  const CUtensorMap k = has_keys ? rows_map(t.k, s.total_k, s.h_kv * S::kDQk, kBlockN) : q;
  const CUtensorMap v = has_keys ? rows_map(t.v, s.total_k, s.h_kv * kDV, kBlockN) : q;
  const Args args{t.cu_seqlens_q, t.cu_seqlens_k, order,       s.h_q,       s.h_kv,
                  s.is_causal,    s.sm_scale(),   outputs.out, outputs.lse, s.total_q};
  const auto blocks = static_cast<unsigned>(order.heads * order.blocks);
  launch_kernel(forward_kernel<S>, {blocks, kThreads, S::kSharedBytes, stream}, q, k, v, args);
}

}  // namespace

void launch_forward(const Tensors& tensors, const Outputs& outputs, cudaStream_t stream) {
  const Shape& s = tensors.shape;
  validate_own(s);
  if (s.total_q == 0) return;
  (s.d_qk == 192 ? launch<Spec<192>> : launch<Spec<128>>)(tensors, outputs, stream);
}

}  // namespace traincost::kernels::attention::sm90
