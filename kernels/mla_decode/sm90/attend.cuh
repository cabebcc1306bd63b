#pragma once

#include <kernels/common/vec8.cuh>
#include <kernels/common/wgmma.cuh>
#include <kernels/mla_decode/sm90/layout.cuh>

/// The two warpgroups that multiply. Each keeps half of the output columns of all 64 rows. Tiles come in pairs: the
/// left one scores the first of a pair, the right one the second; probabilities and maxima go to the other through
/// shared memory. While one computes its softmax, the other's products, or both halves' products of the tile before,
/// are under way.
///
///   left:   Q K0 | softmax 0, hand over | P0 V0 left | wait for P1, rescale | P1 V1 left, next Q K0 | ...
///   right:         Q K1                 | P0 V0 right, softmax 1, hand over | P1 V1 right           | next Q K1 ...
namespace traincost::kernels::mla_decode::sm90 {

constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;
// Below every score: a row that has seen nothing has this maximum and the sum 0, and needs no case of its own.
constexpr float kNothing = -3e38F;

using ptx::Order;

__device__ __forceinline__ float load_shared(std::uint32_t at) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(at) : "memory");
  return value;
}
__device__ __forceinline__ void store_shared(std::uint32_t at, float value) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(at), "f"(value) : "memory");
}

/// What a thread holds: of rows row() and row() + 8 columns 8 i + column() + 0, 1 of its warpgroup's output and scores.
struct State {
  float out[kHalf / 2];
  float scores[kTokens / 2];
  float largest[2], sum[2];  // in powers of two; the sum of what this warpgroup scored, this thread's columns

  __device__ __forceinline__ static int row() { return warp() * 16 + lane() / 4; }
  __device__ __forceinline__ static int column() { return lane() % 4 * 2; }
};

/// Addresses of so many products, computed once for all tiles, would not fit the registers.
__device__ __forceinline__ Shared opaque(Shared shared) {
  asm volatile("" : "+r"(shared.base));
  return shared;
}

/// Queries times the keys of a buffer, started and committed; parts of the tile are awaited in the order in which they
/// come.
template <int kBuffer>
__device__ __forceinline__ void score(const Shared& shared, State& state, std::uint32_t parity) {
  constexpr int kSteps = kBoxColumns / 16;
  const Shared at_once = opaque(shared);
  const std::uint64_t queries = ptx::matrix_descriptor(at_once.queries(), 0);
  const std::uint64_t keys = ptx::matrix_descriptor(at_once.tile(kBuffer), 0);
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    ptx::mbarrier_wait(shared.full(kBuffer, part), parity);
    ptx::wgmma_fence();
#pragma unroll
    for (int i = 0; i < boxes(part) * kSteps; ++i) {
      const int at = (box_of(kBuffer, part, i / kSteps) * kBoxBytes + i % kSteps * 32) / 16;
      ptx::wgmma<Order::reduction, Order::reduction>(__nv_bfloat16{}, state.scores, queries + at, keys + at,
                                                     part != 0 || i != 0);
    }
  }
  ptx::wgmma_commit_group();
}

/// Probabilities of a tile, as the tensor core takes them from registers: four for each 16 tokens.
struct Probabilities {
  std::uint32_t a[kTokens / 4];
};

/// Half of a buffer's values: the descriptor of its first box.
__device__ __forceinline__ std::uint64_t values(const Shared& shared, int buffer, int half) {
  return ptx::matrix_descriptor(opaque(shared).box(buffer, half * kHalfBoxes), kBoxBytes);
}
constexpr int kStepBytes = 16 * 128;  // 16 tokens of a box

/// out += probabilities in registers times the values of the buffer that this warpgroup has scored, started and
/// committed.
template <int kBuffer>
__device__ __forceinline__ void accumulate_own(State& state, const Shared& shared, Probabilities& p) {
  const std::uint64_t v = values(shared, kBuffer, kBuffer);
  ptx::hold(p.a);
  ptx::hold(state.out);
  ptx::wgmma_fence();
#pragma unroll
  for (int i = 0; i < kTokens / 16; ++i)
    ptx::wgmma<Order::outer>(state.out, p.a + 4 * i, v + i * kStepBytes / 16, true);
  ptx::wgmma_commit_group();
}
/// The same with those of the other warpgroup, in shared memory.
template <int kBuffer>
__device__ __forceinline__ void accumulate_other(State& state, const Shared& shared) {
  const std::uint64_t v = values(shared, kBuffer, 1 - kBuffer);
  const std::uint64_t p = ptx::matrix_descriptor(opaque(shared).probabilities(kBuffer), 0);
  ptx::hold(state.out);
  ptx::wgmma_fence();
#pragma unroll
  for (int i = 0; i < kTokens / 16; ++i)
    ptx::wgmma<Order::reduction, Order::outer>(__nv_bfloat16{}, state.out, p + i * 32 / 16, v + i * kStepBytes / 16,
                                               true);
  ptx::wgmma_commit_group();
}

/// To a new maximum: what sums and output shrink by; the sums have done so.
__device__ __forceinline__ float2 move_largest(State& state, float2 largest) {
  const float2 factors =
      make_float2(ptx::ex2_approx(state.largest[0] - largest.x), ptx::ex2_approx(state.largest[1] - largest.y));
  state.largest[0] = largest.x;
  state.largest[1] = largest.y;
  state.sum[0] *= factors.x;
  state.sum[1] *= factors.y;
  return factors;
}

__device__ __forceinline__ void shrink(State& state, float2 factors) {
  if (!__any_sync(0xffffffffU, factors.x != 1 || factors.y != 1)) return;  // maxima settle after a few tiles
#pragma unroll
  for (int i = 0; i < kHalf / 2; i += 4) {
    state.out[i] *= factors.x;
    state.out[i + 1] *= factors.x;
    state.out[i + 2] *= factors.y;
    state.out[i + 3] *= factors.y;
  }
}

template <class Op>
__device__ __forceinline__ float over_row(float x, Op op) {
  x = op(x, __shfl_xor_sync(0xffffffffU, x, 1));
  return op(x, __shfl_xor_sync(0xffffffffU, x, 2));
}

/// The rows' maxima after this tile. Scores are multiplied by `scale`; those behind `visible`, tokens of the tile that
/// each row sees, become minus infinity.
__device__ __forceinline__ float2 find_largest(State& state, float scale, const int (&visible)[2]) {
  float largest[2] = {state.largest[0], state.largest[1]};
  const bool sees_all = min(visible[0], visible[1]) >= kTokens;
#pragma unroll
  for (int i = 0; i < kTokens / 2; ++i) {
    float& x = state.scores[i];
    x *= scale;
    if (!sees_all && i / 4 * 8 + State::column() + i % 2 >= visible[i / 2 % 2]) x = -INFINITY;
    largest[i / 2 % 2] = fmaxf(largest[i / 2 % 2], x);
  }
  const auto max = [](float a, float b) { return fmaxf(a, b); };
  return make_float2(over_row(largest[0], max), over_row(largest[1], max));
}

/// Scores to probabilities.
__device__ __forceinline__ Probabilities soften(State& state) {
  Probabilities p;
#pragma unroll
  for (int i = 0; i < kTokens / 2; i += 2) {
    const int half = i / 2 % 2;
    const float base = state.largest[half];
    const float low = ptx::ex2_approx(state.scores[i] - base);
    const float high = ptx::ex2_approx(state.scores[i + 1] - base);
    state.sum[half] += low + high;
    p.a[i / 2] = pack_bf16(low, high);
  }
  return p;
}

/// Maxima and probabilities for the other warpgroup.
__device__ __forceinline__ void hand_over(const Shared& shared, int buffer, const State& state,
                                          const Probabilities& p) {
  if (lane() % 4 == 0) {
    store_shared(shared.largest(buffer) + 4 * State::row(), state.largest[0]);
    store_shared(shared.largest(buffer) + 4 * State::row() + 32, state.largest[1]);
  }
#pragma unroll
  for (int i = 0; i < kTokens / 16; ++i) {
    const int row = warp() * 16 + lane() % 16;
    const std::uint32_t r[4] = {p.a[4 * i], p.a[4 * i + 1], p.a[4 * i + 2], p.a[4 * i + 3]};
    ptx::stmatrix_x4(shared.probabilities(buffer) + row * 128 + ((2 * i + lane() / 16) ^ (row % 8)) * 16, r);
  }
  ptx::fence_proxy_async();
}

__device__ __forceinline__ float2 handed_over(const Shared& shared, int buffer) {
  return make_float2(load_shared(shared.largest(buffer) + 4 * State::row()),
                     load_shared(shared.largest(buffer) + 4 * State::row() + 32));
}

/// What a page holds behind the end of its sequence may be NaN, and 0 NaN is NaN: values of those tokens become zeros.
/// By the warpgroup that has scored the tile.
__device__ __forceinline__ void clear_values(const Shared& shared, int buffer, int tokens) {
  if (tokens >= kTokens) return;
  constexpr int kChunks = kLatent / 8;  // of a row
  for (int i = thread(); i < (kTokens - tokens) * kChunks; i += kWarpgroup) {
    const std::uint32_t at =
        shared.box(buffer, i % kChunks / 8) + (tokens + i / kChunks) * 128 + i % 8 * 16;  // whole rows: no swizzle
    asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(at), "r"(0) : "memory");
  }
  ptx::fence_proxy_async();
  ptx::barrier_sync(kWarpgroups + buffer, kWarpgroup);
}

/// A block's rows of a piece, and how far each sees.
struct Rows {
  int first, count;  // of the piece's sequence
  int limit[2];      // tokens that this thread's rows see

  __device__ __forceinline__ Rows(const Params& p, const Piece& piece, int first_row)
      : first(first_row), count(p.s_q * p.h_q) {
    for (int half = 0; half < 2; ++half) {
      const int query = min((first_row + State::row() + half * 8) / p.h_q, p.s_q - 1);
      limit[half] = p.is_causal ? piece.length - (p.s_q - 1 - query) : piece.length;
    }
  }
};

/// Parities of the phases to come.
struct Phases {
  std::uint32_t queries = 0, first = 0, second = 0;  // the buffers' tiles
  int sums = 0;
};

/// From scores to probabilities, which go to the other warpgroup, too. Returns by what the output must shrink.
template <int kBuffer, class V>
__device__ __forceinline__ float2 soften_tile(const Params& p, const Piece& piece, const Rows& rows, int tile,
                                              const Shared& shared, State& state, Probabilities& probabilities) {
  const int token = first_token(piece, tile);
  ptx::barrier_sync(kWarpgroups + kBuffer, kWarpgroup);  // all warps have scored it
  if constexpr (!V::kIsFp8) clear_values(shared, kBuffer, piece.length - token);
  const int visible[2] = {rows.limit[0] - token, rows.limit[1] - token};
  const float2 factors = move_largest(state, find_largest(state, p.sm_scale * kLog2E, visible));
  probabilities = soften(state);
  hand_over(shared, kBuffer, state, probabilities);
  ptx::barrier_arrive(kBuffer == 0 ? kFirstReady : kSecondReady, 2 * kWarpgroup);
  return factors;
}

/// Between the start of products and the wait for them there is no branch around products, and nothing else writes
/// their accumulators: else ptxas makes them wait for one another.
template <class V>
__device__ __forceinline__ void attend_left(const Params& p, const Piece& piece, const Rows& rows, const Shared& shared,
                                            Phases& phases, State& state) {
  const int tiles = tiles_of(piece);
  Probabilities mine;
  score<0>(shared, state, phases.first);
  ptx::wgmma_wait_group<0>();
  for (int tile = 0;; tile += 2) {
    ptx::hold(state.scores);
    ptx::barrier_arrive(kFirstScored, 2 * kWarpgroup);
    shrink(state, soften_tile<0, V>(p, piece, rows, tile, shared, state, mine));
    accumulate_own<0>(state, shared, mine);
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.out);
    release<V>(shared.empty(0, 0));
    phases.first ^= 1;
    if (tile + 1 == tiles) return;
    ptx::mbarrier_wait(shared.full(1, 1), phases.second);
    phases.second ^= 1;
    ptx::barrier_sync(kSecondReady, 2 * kWarpgroup);
    shrink(state, move_largest(state, handed_over(shared, 1)));
    if (tile + 2 == tiles) break;
    accumulate_other<1>(state, shared);
    score<0>(shared, state, phases.first);
    ptx::wgmma_wait_group<1>();
    release<V>(shared.empty(1, 1));
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.out);
  }
  accumulate_other<1>(state, shared);
  ptx::wgmma_wait_group<0>();
  ptx::hold(state.out);
  release<V>(shared.empty(1, 1));
}

/// The first tile's probabilities times its values, started.
__device__ __forceinline__ void accumulate_first(const Shared& shared, Phases& phases, State& state) {
  ptx::mbarrier_wait(shared.full(0, 1), phases.first);
  phases.first ^= 1;
  ptx::barrier_sync(kFirstReady, 2 * kWarpgroup);
  shrink(state, move_largest(state, handed_over(shared, 0)));
  accumulate_other<0>(state, shared);
}

template <class V>
__device__ __forceinline__ void attend_right(const Params& p, const Piece& piece, const Rows& rows,
                                             const Shared& shared, Phases& phases, State& state) {
  const int tiles = tiles_of(piece);
  Probabilities mine;
  for (int tile = 1; tile < tiles; tile += 2) {
    ptx::barrier_sync(kFirstScored, 2 * kWarpgroup);
    score<1>(shared, state, phases.second);
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.scores);
    accumulate_first(shared, phases, state);
    const float2 factors = soften_tile<1, V>(p, piece, rows, tile, shared, state, mine);
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.out);
    release<V>(shared.empty(0, 1));
    shrink(state, factors);
    accumulate_own<1>(state, shared, mine);
    ptx::wgmma_wait_group<0>();
    ptx::hold(state.out);
    release<V>(shared.empty(1, 0));
    phases.second ^= 1;
  }
  if (tiles % 2 == 0) return;
  ptx::barrier_sync(kFirstScored, 2 * kWarpgroup);
  accumulate_first(shared, phases, state);
  ptx::wgmma_wait_group<0>();
  ptx::hold(state.out);
  release<V>(shared.empty(0, 1));
}

/// The result of a whole sequence as bf16, of a piece as fp32.
__device__ __forceinline__ void store(const Params& p, const Piece& piece, const Rows& rows, const State& state,
                                      const float (&factors)[2]) {
  const std::int64_t first = piece.first_row(rows.count) + rows.first;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = State::row() + half * 8;
    if (rows.first + row >= rows.count) continue;
    const std::int64_t at = row_offset(first + row, kLatent) + warpgroup() * kHalf + State::column();
#pragma unroll
    for (int i = 0; i < kHalf / 8; ++i) {
      const float low = state.out[4 * i + 2 * half] * factors[half];
      const float high = state.out[4 * i + 2 * half + 1] * factors[half];
      if (piece.is_whole())
        *reinterpret_cast<std::uint32_t*>(p.out + at + 8 * i) = pack_bf16(low, high);
      else
        *reinterpret_cast<float2*>(p.partial_out + at + 8 * i) = make_float2(low, high);
    }
  }
}

/// Both warpgroups' sums make the log-sum-exp and the factors of the output.
__device__ __forceinline__ void finish(const Params& p, const Piece& piece, const Rows& rows, const Shared& shared,
                                       Phases& phases, State& state) {
  const auto add = [](float a, float b) { return a + b; };
  float factors[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    state.sum[half] = over_row(state.sum[half], add);
    if (lane() % 4 == 0)
      store_shared(shared.sums(phases.sums, warpgroup()) + 4 * (State::row() + 8 * half), state.sum[half]);
  }
  ptx::barrier_sync(kSummed, 2 * kWarpgroup);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = State::row() + half * 8;
    const float sum =
        load_shared(shared.sums(phases.sums, 0) + 4 * row) + load_shared(shared.sums(phases.sums, 1) + 4 * row);
    factors[half] = sum == 0 ? 0.0F : 1 / sum;
    if (warpgroup() != 0 || lane() % 4 != 0 || rows.first + row >= rows.count) continue;
    const float lse = sum == 0 ? -INFINITY : (state.largest[half] + log2f(sum)) * kLn2;
    (piece.is_whole() ? p.lse : p.partial_lse)[piece.first_row(rows.count) + rows.first + row] = lse;
  }
  phases.sums ^= 1;
  store(p, piece, rows, state, factors);
}

template <class V>
__device__ __forceinline__ void attend(const Params& p, const Piece& piece, int first_row, const Shared& shared,
                                       Phases& phases) {
  const Rows rows(p, piece, first_row);
  State state;
#pragma unroll
  for (float& x : state.out) x = 0;
  state.largest[0] = state.largest[1] = kNothing;
  state.sum[0] = state.sum[1] = 0;
  if (tiles_of(piece) > 0) {
    ptx::mbarrier_wait(shared.queries_full(), phases.queries);
    if (warpgroup() == 0)
      attend_left<V>(p, piece, rows, shared, phases, state);
    else
      attend_right<V>(p, piece, rows, shared, phases, state);
    arrive(shared.queries_empty());
    phases.queries ^= 1;
  }
  finish(p, piece, rows, shared, phases, state);
}

}  // namespace traincost::kernels::mla_decode::sm90
