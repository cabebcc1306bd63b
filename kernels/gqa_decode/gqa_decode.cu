#include <kernels/common/address.hpp>
#include <kernels/common/launch.cuh>
#include <kernels/common/reduce.cuh>
#include <kernels/common/swizzled_rows.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/gqa_decode/gqa_decode.hpp>
#include <kernels/split_kv/pieces.cuh>

/// A block takes the queries of one head of the cache through its part of the pages. Few rows: four warps share them
/// and each takes a quarter of every page's tokens with a softmax of its own, merged at the end. Many rows: each warp
/// takes sixteen of them and all tokens. Scores and probabilities never leave the registers.
namespace traincost::kernels::gqa_decode {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kTokens = split_kv::kPageTokens;  // of a tile
constexpr int kStages = 2;
constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;

using split_kv::Piece;
using Rows = SwizzledRows<kHeadDim>;
constexpr int kTileBytes = kTokens * Rows::kRowBytes;  // of keys or of values
constexpr int kStageBytes = 2 * kTileBytes;
constexpr int kMergeRows = 16 * kWarps;
static_assert(kMergeRows * (kHeadDim + 2) * 4 <= kStages * kStageBytes);

template <int kRows>
struct Layout {
  static constexpr int kWarpsM = kRows / 16;
  static constexpr int kWarpsN = kWarps / kWarpsM;
  static constexpr int kOwnTokens = kTokens / kWarpsN;
  static constexpr int kQueryBytes = kRows * Rows::kRowBytes;
  static constexpr int kBytes = kQueryBytes + kStages * kStageBytes;
};

/// The queries of a block: which head of the cache, and which of its rows.
struct Queries {
  int head, group, first_row, rows;  // rows: of the head

  __device__ __forceinline__ bool has(int row) const { return first_row + row < rows; }
  __device__ __forceinline__ int query(int row) const { return (first_row + row) / group; }
  /// In [s_q, h_q].
  __device__ __forceinline__ int position(int row, int h_q) const {
    const int r = first_row + row;
    return r / group * h_q + head * group + r % group;
  }
};

__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }
__device__ __forceinline__ int lane() { return thread() % 32; }
__device__ __forceinline__ int warp() { return thread() / 32; }

template <int kRows>
__device__ __forceinline__ void copy_queries(const Params& p, const Queries& queries, int sequence, Rows to) {
  const __nv_bfloat16* q = p.q + row_offset(row_offset(sequence, p.s_q), p.h_q) * kHeadDim;
  for (int i = thread(); i < kRows * Rows::kChunks; i += kThreads) {
    const int row = i / Rows::kChunks;
    const int chunk = i % Rows::kChunks;
    const bool exists = queries.has(row);
    const std::int64_t at = exists ? row_offset(queries.position(row, p.h_q), kHeadDim) + chunk * 8 : 0;
    ptx::cp_async_16(to.at(row, chunk), q + at, exists ? 16 : 0);
  }
}

/// The physical page, 0 where no token is.
__device__ __forceinline__ int physical_page(const Params& p, const Piece& piece, int page) {
  if (page >= piece.end_page || page * kTokens >= piece.length) return 0;
  return p.block_table[row_offset(piece.sequence, p.max_pages) + page];
}

/// Starts the copy of a head's part of a page; behind the sequence: zeros.
__device__ __forceinline__ void copy_page(const Params& p, const Piece& piece, int head, int page, int physical,
                                          std::uint32_t stage) {
  const int tokens = piece.length - page * kTokens;
  const std::int64_t first = row_offset(row_offset(physical, kTokens), p.h_kv) + head;
#pragma unroll
  for (const bool is_value : {false, true}) {
    const __nv_bfloat16* cache = is_value ? p.v_cache : p.k_cache;
    const Rows to{stage + (is_value ? kTileBytes : 0)};
    for (int i = thread(); i < kTokens * Rows::kChunks; i += kThreads) {
      const int token = i / Rows::kChunks;
      const int chunk = i % Rows::kChunks;
      const bool exists = token < tokens;
      const std::int64_t at = row_offset(first + row_offset(token, p.h_kv), kHeadDim) + chunk * 8;
      ptx::cp_async_16(to.at(token, chunk), cache + (exists ? at : 0), exists ? 16 : 0);
    }
  }
}

/// A warp's sixteen rows: each thread holds two of them, lane / 4 and 8 more, in four lanes.
struct State {
  float out[kHeadDim / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY};  // in powers of two
  float sum[2] = {0, 0};                      // of this lane's columns
};

template <int kOwnTokens>
struct Scores {
  float c[kOwnTokens / 8][4];
};

/// Query fragments are read anew for every tile: held in registers they would make others spill.
template <int kOwnTokens>
__device__ __forceinline__ Scores<kOwnTokens> score(Rows queries, int row, Rows keys, int token) {
  Scores<kOwnTokens> s = {};
#pragma unroll
  for (int k = 0; k < kHeadDim; k += 16) {
    std::uint32_t a[4];
    queries.load_a(a, row, k);
#pragma unroll
    for (int j = 0; j < kOwnTokens / 8; j += 2) {
      std::uint32_t b[4];
      keys.load_b(b, token + j * 8, k);
      ptx::mma_m16n8k16_bf16(s.c[j], a, b[0], b[1]);
      ptx::mma_m16n8k16_bf16(s.c[j + 1], a, b[2], b[3]);
    }
  }
  return s;
}

/// Scores become probabilities; the state's output and sums shrink to the new maximum. `visible`: of the tokens, by
/// row.
template <int kOwnTokens>
__device__ __forceinline__ void soften(Scores<kOwnTokens>& s, State& state, float scale, const int (&visible)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = state.largest[half];
#pragma unroll
    for (int j = 0; j < kOwnTokens / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& x = s.c[j][half * 2 + e];
        x = j * 8 + lane() % 4 * 2 + e < visible[half] ? x * scale : -INFINITY;
        largest = fmaxf(largest, x);
      }
    largest = warp_max<kRowLanes>(largest);
    const float base = largest == -INFINITY ? 0.0F : largest;
    const float factor = exp2f(state.largest[half] - base);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kOwnTokens / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) sum += s.c[j][half * 2 + e] = exp2f(s.c[j][half * 2 + e] - base);
    state.sum[half] = state.sum[half] * factor + sum;
    state.largest[half] = largest;
#pragma unroll
    for (int j = 0; j < kHeadDim / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) state.out[j][half * 2 + e] *= factor;
  }
}

/// Accumulators of two n8 fragments are, packed, the left fragment of the next product.
template <int kOwnTokens>
__device__ __forceinline__ void accumulate(State& state, const Scores<kOwnTokens>& s, Rows values, int token) {
#pragma unroll
  for (int k = 0; k < kOwnTokens / 16; ++k) {
    const auto& low = s.c[2 * k];
    const auto& high = s.c[2 * k + 1];
    const std::uint32_t a[4] = {pack_bf16(low[0], low[1]), pack_bf16(low[2], low[3]), pack_bf16(high[0], high[1]),
                                pack_bf16(high[2], high[3])};
#pragma unroll
    for (int j = 0; j < kHeadDim / 8; j += 2) {
      std::uint32_t b[4];
      values.load_b_transposed(b, token + k * 16, j * 8);
      ptx::mma_m16n8k16_bf16(state.out[j], a, b[0], b[1]);
      ptx::mma_m16n8k16_bf16(state.out[j + 1], a, b[2], b[3]);
    }
  }
}

/// The warps' outputs, maxima and sums in shared memory: merge row 16 * warp + row of its sixteen.
struct Merge {
  float* out;            // [64, 128], chunks swizzled
  float *largest, *sum;  // [64]

  __device__ __forceinline__ float* at(int row, int column) const {
    return out + row * kHeadDim + (column / 4 ^ row_swizzle(row)) * 4 + column % 4;
  }
  __device__ __forceinline__ void put(const State& state) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp() * 16 + half * 8 + lane() / 4;
      const float total = warp_sum<kRowLanes>(state.sum[half]);
      if (lane() % 4 == 0) largest[row] = state.largest[half], sum[row] = total;
#pragma unroll
      for (int j = 0; j < kHeadDim / 8; ++j)
        *reinterpret_cast<float2*>(at(row, j * 8 + lane() % 4 * 2)) =
            make_float2(state.out[j][half * 2], state.out[j][half * 2 + 1]);
    }
  }
};

__device__ __forceinline__ void store_row(const Params& p, const Piece& piece, int position, int column, float4 x,
                                          float lse) {
  const std::int64_t row = piece.first_row(p.s_q * p.h_q) + position;
  const std::int64_t at = row_offset(row, kHeadDim) + column;
  if (piece.is_whole())
    *reinterpret_cast<uint2*>(p.out + at) = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
  else
    *reinterpret_cast<float4*>(p.partial_out + at) = x;
  if (column == 0) (piece.is_whole() ? p.lse : p.partial_lse)[row] = lse;
}

/// A warp per row, four columns per lane; the row's kWarpsN results lie 16 * kWarpsM rows apart.
template <int kRows>
__device__ __forceinline__ void merge_and_store(const Params& p, const Queries& queries, const Piece& piece,
                                                const Merge& m) {
  for (int row = warp(); row < kRows && queries.has(row); row += kWarps) {
    float largest = -INFINITY;
#pragma unroll
    for (int from = row; from < kMergeRows; from += kRows) largest = fmaxf(largest, m.largest[from]);
    const float base = largest == -INFINITY ? 0.0F : largest;
    float4 x = make_float4(0, 0, 0, 0);
    float sum = 0;
#pragma unroll
    for (int from = row; from < kMergeRows; from += kRows) {
      const float factor = exp2f(m.largest[from] - base);
      const float4 y = *reinterpret_cast<const float4*>(m.at(from, lane() * 4));
      sum += m.sum[from] * factor;
      x = make_float4(x.x + y.x * factor, x.y + y.y * factor, x.z + y.z * factor, x.w + y.w * factor);
    }
    const float f = sum == 0 ? 0.0F : 1 / sum;
    const float lse = sum == 0 ? -INFINITY : (base + log2f(sum)) * kLn2;
    store_row(p, piece, queries.position(row, p.h_q), lane() * 4, make_float4(x.x * f, x.y * f, x.z * f, x.w * f), lse);
  }
}

template <int kRows>
__device__ __forceinline__ void attend(const Params& p, const Queries& queries, const Piece& piece, char* shared) {
  using L = Layout<kRows>;
  const std::uint32_t base = ptx::shared_address(shared);
  const auto stage = [&](int page) { return base + L::kQueryBytes + page % kStages * kStageBytes; };
  const auto copy = [&](int page, int physical) {
    if (page < piece.end_page) copy_page(p, piece, queries.head, page, physical, stage(page));
    ptx::cp_async_commit_group();
  };
  const int m = warp() / L::kWarpsN * 16;
  const int own_token = warp() % L::kWarpsN * L::kOwnTokens;
  int limit[2];
  for (int half = 0; half < 2; ++half) {
    const int query = min(queries.query(m + half * 8 + lane() / 4), p.s_q - 1);
    limit[half] = p.is_causal ? piece.length - (p.s_q - 1 - query) : piece.length;
  }

  copy_queries<kRows>(p, queries, piece.sequence, Rows{base});
  copy(piece.begin_page, physical_page(p, piece, piece.begin_page));
  int physical = physical_page(p, piece, piece.begin_page + 1);  // a page ahead, so that the copy need not wait for it
  State state;
  for (int page = piece.begin_page; page < piece.end_page; ++page) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // the page has arrived, and all have left the stage that the next copy fills
    copy(page + 1, physical);
    physical = physical_page(p, piece, page + 2);
    auto scores = score<L::kOwnTokens>(Rows{base}, m, Rows{stage(page)}, own_token);
    const int first = page * kTokens + own_token;
    soften(scores, state, p.sm_scale * kLog2E, {limit[0] - first, limit[1] - first});
    accumulate(state, scores, Rows{stage(page) + kTileBytes}, own_token);
  }
  __syncthreads();  // the stages are free for the merge
  auto* out = reinterpret_cast<float*>(shared + L::kQueryBytes);
  const Merge merge{out, out + kMergeRows * kHeadDim, out + kMergeRows * (kHeadDim + 1)};
  merge.put(state);
  __syncthreads();
  merge_and_store<kRows>(p, queries, piece, merge);
  __syncthreads();  // the next sequence may fill the stages
}

template <int kRows>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm) gqa_decode_kernel(Params p) {
  extern __shared__ uint4 dynamic_shared[];
  const int group = p.h_q / p.h_kv;
  const Queries queries{static_cast<int>(blockIdx.x) % p.h_kv, group, static_cast<int>(blockIdx.x) / p.h_kv * kRows,
                        p.s_q * group};
  split_kv::for_each_piece(p.plan, p.b, p.lengths, static_cast<int>(blockIdx.y), [&](const Piece& piece) {
    attend<kRows>(p, queries, piece, reinterpret_cast<char*>(dynamic_shared));
  });
}

template <int kRows>
void start(const Params& p, cudaStream_t stream) {
  const int tiles = split_kv::query_tiles(rows_per_head(p.s_q, p.h_q, p.h_kv));
  const dim3 blocks(static_cast<unsigned>(p.h_kv * tiles), static_cast<unsigned>(p.plan.num_parts));
  launch_kernel(gqa_decode_kernel<kRows>, {blocks, kThreads, Layout<kRows>::kBytes, stream}, p);
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  if (split_kv::tile_rows(rows_per_head(params.s_q, params.h_q, params.h_kv)) == 16)
    start<16>(params, stream);
  else
    start<64>(params, stream);
  split_kv::combine(params, kHeadDim, stream);
}

}  // namespace traincost::kernels::gqa_decode
