#include <kernels/attention/tile.cuh>
#include <kernels/common/launch.cuh>
#include <kernels/common/reduce.cuh>

/// The forward pass: four warps take 32 queries each through the keys, with a softmax of their own; a fragment of keys
/// or values feeds two fragments of queries, so that shared memory keeps up with the tensor cores. Keys are copied
/// during softmax and second product, values during the first product; two blocks share an SM.
namespace traincost::kernels::attention {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kRows = 128;  // queries of a block
constexpr int kKeys = 48;   // of a tile: at 64, registers spill and two blocks of 192/128 do not fit an SM
constexpr int kFragments = kRows / kWarps / 16;
constexpr int kBlocksPerSm = 2;
constexpr int kDv = 128;

template <int kDqk>
struct Tile {
  static constexpr int kQueryBytes = kRows * kDqk * 2;
  static constexpr int kKeyBytes = kKeys * kDqk * 2;
  static constexpr int kBytes = kQueryBytes + kKeyBytes + kKeys * kDv * 2;
};

struct Params {
  Tensors t;
  __nv_bfloat16* out;
  float* lse;
  float scale;  // of scores, to powers of two
  int more;     // keys that the query eight rows on sees more
};

/// A warp's 32 rows: each thread holds four of them, in four lanes.
struct State {
  float out[kFragments][kDv / 8][4] = {};
  float largest[kFragments][2];   // unscaled
  float sum[kFragments][2] = {};  // of this lane's columns
};

struct Scores {
  float c[kFragments][kKeys / 8][4];
};

template <int kDqk>
__device__ __forceinline__ Scores score(Fragments<kDqk> queries, Fragments<kDqk> keys) {
  Scores s = {};
#pragma unroll
  for (int k = 0; k < kDqk; k += 16) {
    const auto q = queries.at_column(k), key = keys.at_column(k);
    std::uint32_t a[kFragments][4];
#pragma unroll
    for (int i = 0; i < kFragments; ++i) q.load(a[i], i * 16);
#pragma unroll
    for (int j = 0; j < kKeys / 8; j += 2) {
      std::uint32_t b[4];
      key.load(b, j * 8);
#pragma unroll
      for (int i = 0; i < kFragments; ++i) {
        ptx::mma_m16n8k16_bf16(s.c[i][j], a[i], b[0], b[1]);
        ptx::mma_m16n8k16_bf16(s.c[i][j + 1], a[i], b[2], b[3]);
      }
    }
  }
  return s;
}

/// `visible`: of the tile's keys from this lane's first on, for its first row; eight rows on, so many more.
__device__ __forceinline__ void mask(Scores& s, int visible, int more) {
#pragma unroll
  for (int i = 0; i < kFragments; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if (j * 8 + e >= visible) s.c[i][j][half * 2 + e] = -INFINITY;
      visible += more;
    }
}

/// Scores become probabilities; the state's output and sums shrink to the new maximum.
__device__ __forceinline__ void soften(Scores& s, State& state, float scale) {
#pragma unroll
  for (int i = 0; i < kFragments; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = state.largest[i][half];
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) largest = fmaxf(largest, fmaxf(s.c[i][j][half * 2], s.c[i][j][half * 2 + 1]));
      largest = warp_max<kRowLanes>(largest);
      const float base = largest == -INFINITY ? 0.0F : largest * scale;
      const float factor = ptx::ex2_approx(state.largest[i][half] * scale - base);
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float& x = s.c[i][j][half * 2 + e];
          sum += x = ptx::ex2_approx(x * scale - base);
        }
      state.sum[i][half] = state.sum[i][half] * factor + sum;
      state.largest[i][half] = largest;
#pragma unroll
      for (int j = 0; j < kDv / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) state.out[i][j][half * 2 + e] *= factor;
    }
}

__device__ __forceinline__ void accumulate(State& state, const Scores& s, Fragments<kDv> values) {
#pragma unroll
  for (int k = 0; k < kKeys / 16; ++k) {
    std::uint32_t a[kFragments][4];
#pragma unroll
    for (int i = 0; i < kFragments; ++i) pack_fragment(a[i], s.c[i][2 * k], s.c[i][2 * k + 1]);
#pragma unroll
    for (int j = 0; j < kDv / 8; j += 2) {
      std::uint32_t b[4];
      values.at_column(j * 8).load_transposed(b, k * 16);
#pragma unroll
      for (int i = 0; i < kFragments; ++i) {
        ptx::mma_m16n8k16_bf16(state.out[i][j], a[i], b[0], b[1]);
        ptx::mma_m16n8k16_bf16(state.out[i][j + 1], a[i], b[2], b[3]);
      }
    }
  }
}

/// Outputs and log-sum-exp of the block's queries, the former through the place of the queries.
template <int kDqk>
__device__ __forceinline__ void store(const Params& p, const State& state, int head, int first_row,
                                      SwizzledRows<kDqk> shared) {
  const Sequence sequence(p.t, static_cast<int>(blockIdx.z));  // read anew: kept, it would cost registers of the loop
  const Shape& s = p.t.shape;
  const int rows = sequence.s_q - first_row;
  __nv_bfloat16* out = p.out + row_offset(row_offset(sequence.first_q + first_row, s.h_q) + head, kDv);
  float* lse = p.lse + row_offset(head, s.total_q) + sequence.first_q + first_row;
  const int first_of_warp = warp() * (kFragments * 16), quad_row = first_of_warp + quad();
  const bool is_first_lane = quad_lane() == 0;
#pragma unroll
  for (int i = 0; i < kFragments; ++i) {
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = warp_sum<kRowLanes>(state.sum[i][half]);
      const int row = quad_row + i * 16 + half * 8;
      factor[half] = sum == 0 ? 0.0F : 1 / sum;
      if (is_first_lane && row < rows)
        lse[row] = sum == 0 ? -INFINITY : (state.largest[i][half] * p.scale + log2f(sum)) * kLn2;
    }
    store_rows<kDv>(state.out[i], factor, shared, first_of_warp + i * 16, out, row_offset(s.h_q, kDv), rows);
  }
}

template <int kDqk>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm) forward_kernel(Params p) {
  using T = Tile<kDqk>;
  extern __shared__ __align__(128) uint4 dynamic_shared[];
  const std::uint32_t shared = ptx::shared_address(dynamic_shared);
  const SwizzledRows<kDqk> queries{shared}, keys{shared + T::kQueryBytes};
  const SwizzledRows<kDv> values{shared + T::kQueryBytes + T::kKeyBytes};
  const Shape& s = p.t.shape;
  const Sequence sequence(p.t, static_cast<int>(blockIdx.z));
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows;  // the rows that see most come first
  if (first_row >= sequence.s_q) return;
  const int head = static_cast<int>(blockIdx.y);
  const int head_kv = head / (s.h_q / s.h_kv);
  RowCopy<kThreads, kRows, kDqk>(p.t.q, sequence.first_q + first_row, sequence.s_q - first_row, s.h_q, head,
                                 queries.shared)
      .start(s.h_q);
  RowCopy<kThreads, kKeys, kDqk> key_copy(p.t.k, sequence.first_k, sequence.s_k, s.h_kv, head_kv, keys.shared);
  RowCopy<kThreads, kKeys, kDv> value_copy(p.t.v, sequence.first_k, sequence.s_k, s.h_kv, head_kv, values.shared);
  const auto copy_keys = [&](bool is_needed) {
    if (is_needed) key_copy.start(s.h_kv);
    ptx::cp_async_commit_group();
  };
  const auto query_fragments = Fragments<kDqk>::of_a(queries, warp() * (kFragments * 16));
  const auto key_fragments = Fragments<kDqk>::of_b(keys);
  const auto value_fragments = Fragments<kDv>::of_b_transposed(values);
  State state;
#pragma unroll
  for (int i = 0; i < kFragments; ++i) state.largest[i][0] = state.largest[i][1] = -INFINITY;
  // Keys that this thread's first row sees, from its first column on.
  int visible = sequence.visible(first_row + warp() * (kFragments * 16) + quad()) - quad_lane() * 2;
  int tiles = (sequence.visible(min(first_row + kRows, sequence.s_q) - 1) + kKeys - 1) / kKeys;
  copy_keys(tiles > 0);
  for (; tiles > 0; --tiles, visible -= kKeys) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // the keys have arrived, and all have left the values
    value_copy.start(s.h_kv);
    ptx::cp_async_commit_group();
    auto scores = score<kDqk>(query_fragments, key_fragments);
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // the values have arrived, and all have left the keys
    copy_keys(tiles > 1);
    if (visible < kKeys) mask(scores, visible, p.more);
    soften(scores, state, p.scale);
    accumulate(state, scores, value_fragments);
  }
  ptx::cp_async_wait_group<0>();
  __syncthreads();  // without keys, the copy of the queries may still be under way
  store<kDqk>(p, state, head, first_row, queries);
}

template <int kDqk>
void start(const Params& p, cudaStream_t stream) {
  const Shape& s = p.t.shape;
  const dim3 blocks(static_cast<unsigned>(ceil_div(s.max_seqlen_q, kRows)), static_cast<unsigned>(s.h_q),
                    static_cast<unsigned>(s.b));
  launch_kernel(forward_kernel<kDqk>, {blocks, kThreads, Tile<kDqk>::kBytes, stream}, p);
}

}  // namespace

void launch_forward(const Tensors& tensors, const Outputs& outputs, cudaStream_t stream) {
  const Shape& s = tensors.shape;
  validate_own(s);
  if (s.max_seqlen_q == 0) return;
  const Params p{tensors, outputs.out, outputs.lse, s.sm_scale() * kLog2E, s.is_causal ? 8 : 0};
  if (s.d_qk == 192)
    start<192>(p, stream);
  else
    start<128>(p, stream);
}

}  // namespace traincost::kernels::attention
