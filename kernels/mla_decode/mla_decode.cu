#include <kernels/common/address.hpp>
#include <kernels/common/launch.cuh>
#include <kernels/common/swizzled_rows.cuh>
#include <kernels/mla_decode/e4m3_rows.cuh>
#include <kernels/mla_decode/mla_decode.hpp>
#include <kernels/split_kv/pieces.cuh>

/// A block takes a tile of query rows through its part of the cache, 32 tokens at a time: eight warps compute the
/// scores, all threads the softmax of the tile's rows, eight warps the outputs, which stay in registers. The keys are
/// the values: a token crosses the memory once.
namespace traincost::kernels::mla_decode {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kTokens = 32;  // of a tile: two of them beside 64 query rows fit the 163 KiB of an A100
constexpr int kTilesPerPage = split_kv::kPageTokens / kTokens;
constexpr int kScoreN = kTokens / 16;  // warps beside each other along the tokens
constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;

using Rows = SwizzledRows<kKeyDim>;
constexpr int kTileBytes = kTokens * Rows::kRowBytes;
constexpr int kRawBytes = kTokens * kFp8TokenBytes;
constexpr int kScoreRowBytes = kTokens * 4;

/// How eight warps share a tile of kRows queries, and where things lie in shared memory.
template <int kRows, bool kIsFp8>
struct Layout {
  static constexpr int kScoreM = kRows == 64 ? 2 : 1;            // warps along the rows
  static constexpr int kScoreK = kWarps / (kScoreM * kScoreN);   // warps along the reduction
  static constexpr int kFragments = kRows / 16 / kScoreM;        // of 16 rows, per warp
  static constexpr int kColumns = kLatent / (kWarps / kScoreM);  // of the output, per warp
  static constexpr int kLanes = kThreads / kRows;                // that share a row of the softmax
  static constexpr int kStages = kIsFp8 ? 1 : 2;
  static constexpr int kTiles = kRows * Rows::kRowBytes;      // behind the queries
  static constexpr int kRaw = kTiles + kStages * kTileBytes;  // fp8: as it comes from the cache
  static constexpr int kScores = kRaw + (kIsFp8 ? kRawBytes : 0);
  static constexpr int kScoreBytes = kRows * kScoreRowBytes;
  static constexpr int kFactors = kScores + kScoreK * kScoreBytes;
  static constexpr int kBytes = kFactors + kRows * 4;
};

using split_kv::Piece;

/// Tiles of a piece that hold tokens, at least one.
__device__ __forceinline__ int tiles_of(const Piece& piece) {
  const int behind = (piece.length + kTokens - 1) / kTokens - piece.begin_page * kTilesPerPage;
  return max(1, min((piece.end_page - piece.begin_page) * kTilesPerPage, behind));
}
__device__ __forceinline__ int first_token(const Piece& piece, int tile) {
  return piece.begin_page * split_kv::kPageTokens + tile * kTokens;
}

__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }
__device__ __forceinline__ int lane() { return thread() % 32; }
__device__ __forceinline__ int warp() { return thread() / 32; }

__device__ __forceinline__ int score_offset(int row, int chunk) {
  return row * kScoreRowBytes + (chunk ^ row_swizzle(row)) * 16;
}

__device__ __forceinline__ float* shared_floats(char* base, int offset) {
  return reinterpret_cast<float*>(base + offset);
}

/// Starts the copy of the query rows; rows that do not exist become zeros.
template <int kRows>
__device__ __forceinline__ void copy_queries(const Params& p, int sequence, int first_row, std::uint32_t shared) {
  const int rows = p.s_q * p.h_q;
  const __nv_bfloat16* q = p.q + row_offset(row_offset(sequence, rows) + first_row, kKeyDim);
  const Rows to{shared};
  for (int i = thread(); i < kRows * Rows::kChunks; i += kThreads) {
    const int row = i / Rows::kChunks;
    const bool exists = first_row + row < rows;
    ptx::cp_async_16(to.at(row, i % Rows::kChunks), q + (exists ? i * 8 : 0), exists ? 16 : 0);
  }
}

/// The physical page of a tile, 0 where no token is.
__device__ __forceinline__ int page_of(const Params& p, const Piece& piece, int tile) {
  const int token = first_token(piece, tile);
  if (tile >= tiles_of(piece) || token >= piece.length) return 0;
  return p.block_table[row_offset(piece.sequence, p.max_pages) + token / split_kv::kPageTokens];
}

/// Starts the copy of a tile's tokens, which lie side by side in their page; behind the sequence: zeros.
template <bool kIsFp8>
__device__ __forceinline__ void copy_tile(const Params& p, const Piece& piece, int tile, int page,
                                          std::uint32_t shared) {
  constexpr int kTokenBytes = kIsFp8 ? kFp8TokenBytes : Rows::kRowBytes;
  constexpr int kChunks = kTokens * kTokenBytes / 16;
  const int token = first_token(piece, tile);
  const int existing = min(kTokens, piece.length - token) * (kTokenBytes / 16);
  const auto* from = static_cast<const char*>(p.cache) +
                     (row_offset(page, split_kv::kPageTokens) + token % split_kv::kPageTokens) * kTokenBytes;
#pragma unroll 3  // all nine at once would not fit the registers
  for (int i = thread(); i < kChunks; i += kThreads) {
    const std::uint32_t to = kIsFp8 ? shared + i * 16 : Rows{shared}.at(i / Rows::kChunks, i % Rows::kChunks);
    const bool exists = i < existing;
    ptx::cp_async_16(to, from + (exists ? i * 16 : 0), exists ? 16 : 0);
  }
}

/// Each warp's part of the scores [kRows, kTokens] over its share of the reduction.
template <class L>
__device__ __forceinline__ void score(const Rows& queries, const Rows& keys, char* shared) {
  constexpr int kSteps = kKeyDim / 16 / L::kScoreK;
  const int n = warp() % kScoreN * 16;
  const int m = warp() / kScoreN % L::kScoreM * (L::kFragments * 16);
  const int k = warp() / (kScoreN * L::kScoreM);
  float c[L::kFragments][2][4] = {};
#pragma unroll 3
  for (int step = 0; step < kSteps; ++step) {
    const int column = (k * kSteps + step) * 16;
    std::uint32_t b[4];
    keys.load_b(b, n, column);
#pragma unroll
    for (int i = 0; i < L::kFragments; ++i) {
      std::uint32_t a[4];
      queries.load_a(a, m + i * 16, column);
      ptx::mma_m16n8k16_bf16(c[i][0], a, b[0], b[1]);
      ptx::mma_m16n8k16_bf16(c[i][1], a, b[2], b[3]);
    }
  }
  char* scores = shared + L::kScores + k * L::kScoreBytes;
#pragma unroll
  for (int i = 0; i < L::kFragments; ++i)
#pragma unroll
    for (int j = 0; j < 2; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = m + i * 16 + half * 8 + lane() / 4;
        const int column = n + j * 8 + lane() % 4 * 2;
        *reinterpret_cast<float2*>(scores + score_offset(row, column / 4) + column % 4 * 4) =
            make_float2(c[i][j][half * 2], c[i][j][half * 2 + 1]);
      }
}

/// The running maximum (in powers of two) and sum of this thread's row.
struct Softmax {
  float largest = -INFINITY, sum = 0;
};

template <int kLanes, class Op>
__device__ __forceinline__ float over_row(float x, Op op) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x = op(x, __shfl_xor_sync(0xffffffffU, x, step));
  return x;
}

/// kCount neighbouring floats, 2 or 4, as one access.
template <int kCount>
struct alignas(kCount * 4) Vector {
  float x[kCount];
};

/// Scores of a row -> probabilities in bf16 over them, and the factor by which the output so far must shrink.
/// `visible`: tokens of the tile that the row sees.
template <class L>
__device__ __forceinline__ void soften(Softmax& state, char* shared, float scale, int visible) {
  constexpr int kPerLane = kTokens / L::kLanes;
  constexpr int kVector = kPerLane < 4 ? kPerLane : 4;
  constexpr int kVectors = kPerLane / kVector;
  const int row = thread() / L::kLanes;
  const auto column_of = [](int v) { return v * (kTokens / kVectors) + thread() % L::kLanes * kVector; };
  Vector<kVector> x[kVectors] = {};
  float largest = state.largest;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const int column = column_of(v);
    const char* scores = shared + L::kScores + score_offset(row, column / 4) + column % 4 * 4;
#pragma unroll
    for (int k = 0; k < L::kScoreK; ++k) {
      const auto part = *reinterpret_cast<const Vector<kVector>*>(scores + k * L::kScoreBytes);
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[v].x[i] += part.x[i];
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      x[v].x[i] = column + i < visible ? x[v].x[i] * scale : -INFINITY;
      largest = fmaxf(largest, x[v].x[i]);
    }
  }
  largest = over_row<L::kLanes>(largest, [](float a, float b) { return fmaxf(a, b); });
  const float base = largest == -INFINITY ? 0.0F : largest;
  const float factor = exp2f(state.largest - base);
  float sum = 0;
  __syncwarp();  // the row has been read by all its lanes: probabilities may overwrite it
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    std::uint32_t pairs[kVector / 2];
#pragma unroll
    for (int i = 0; i < kVector; i += 2) {
      const float low = exp2f(x[v].x[i] - base);
      const float high = exp2f(x[v].x[i + 1] - base);
      sum += low + high;
      pairs[i / 2] = pack_bf16(low, high);
    }
    const int column = column_of(v);
    char* to = shared + L::kScores + score_offset(row, column / 8) + column % 8 * 2;
    if constexpr (kVector == 4)
      *reinterpret_cast<uint2*>(to) = make_uint2(pairs[0], pairs[1]);
    else
      *reinterpret_cast<std::uint32_t*>(to) = pairs[0];
  }
  state.sum = state.sum * factor + over_row<L::kLanes>(sum, [](float a, float b) { return a + b; });
  state.largest = largest;
  if (thread() % L::kLanes == 0) shared_floats(shared, L::kFactors)[row] = factor;
}

template <class L>
struct Output {
  float c[L::kFragments][L::kColumns / 8][4];
};

/// The row of this thread's elements 2 * half and 2 * half + 1 of fragment i.
template <class L>
__device__ __forceinline__ int output_row(int i, int half) {
  return warp() % L::kScoreM * (L::kFragments * 16) + i * 16 + half * 8 + lane() / 4;
}
template <class L>
__device__ __forceinline__ int output_column(int j) {
  return warp() / L::kScoreM * L::kColumns + j * 8 + lane() % 4 * 2;
}

template <class L>
__device__ __forceinline__ void scale_rows(Output<L>& out, const float* factors) {
  float f[L::kFragments][2];
  bool is_needed = false;
#pragma unroll
  for (int i = 0; i < L::kFragments; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      f[i][half] = factors[output_row<L>(i, half)];
      is_needed |= f[i][half] != 1;
    }
  if (!__any_sync(0xffffffffU, is_needed)) return;  // maxima settle after a few tiles
#pragma unroll
  for (int i = 0; i < L::kFragments; ++i)
#pragma unroll
    for (int j = 0; j < L::kColumns / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) out.c[i][j][e] *= f[i][e / 2];
}

template <class L>
__device__ __forceinline__ void accumulate(Output<L>& out, const Rows& values, char* shared) {
  scale_rows<L>(out, shared_floats(shared, L::kFactors));
  const std::uint32_t probabilities = ptx::shared_address(shared + L::kScores);
#pragma unroll
  for (int k = 0; k < kTokens; k += 16) {
    std::uint32_t a[L::kFragments][4];
#pragma unroll
    for (int i = 0; i < L::kFragments; ++i) {
      const int row = warp() % L::kScoreM * (L::kFragments * 16) + i * 16 + lane() % 16;
      ptx::ldmatrix_x4(a[i], probabilities + score_offset(row, k / 8 + lane() / 16));
    }
#pragma unroll
    for (int j = 0; j < L::kColumns / 8; j += 2) {
      std::uint32_t b[4];
      values.load_b_transposed(b, k, warp() / L::kScoreM * L::kColumns + j * 8);
#pragma unroll
      for (int i = 0; i < L::kFragments; ++i) {
        ptx::mma_m16n8k16_bf16(out.c[i][j], a[i], b[0], b[1]);
        ptx::mma_m16n8k16_bf16(out.c[i][j + 1], a[i], b[2], b[3]);
      }
    }
  }
}

/// The result of a whole sequence as bf16, of a piece as fp32.
template <class L>
__device__ __forceinline__ void store(const Params& p, const Piece& piece, int first_row, const Output<L>& out,
                                      const float* factors) {
  const int rows = p.s_q * p.h_q;
  const std::int64_t first = piece.first_row(rows) + first_row;
#pragma unroll
  for (int i = 0; i < L::kFragments; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = output_row<L>(i, half);
      if (first_row + row >= rows) continue;
      const float f = factors[row];
#pragma unroll
      for (int j = 0; j < L::kColumns / 8; ++j) {
        const float low = out.c[i][j][half * 2] * f;
        const float high = out.c[i][j][half * 2 + 1] * f;
        const std::int64_t at = row_offset(first + row, kLatent) + output_column<L>(j);
        if (piece.is_whole())
          *reinterpret_cast<std::uint32_t*>(p.out + at) = pack_bf16(low, high);
        else
          *reinterpret_cast<float2*>(p.partial_out + at) = make_float2(low, high);
      }
    }
}

/// Leaves 1 / sum of each row as its factor, and writes its log-sum-exp.
template <class L>
__device__ __forceinline__ void finish_rows(const Params& p, const Piece& piece, int first_row, const Softmax& state,
                                            float* factors) {
  const int rows = p.s_q * p.h_q;
  const int row = thread() / L::kLanes;
  if (thread() % L::kLanes != 0) return;
  factors[row] = state.sum == 0 ? 0.0F : 1 / state.sum;
  if (first_row + row >= rows) return;
  const float lse = state.sum == 0 ? -INFINITY : (state.largest + log2f(state.sum)) * kLn2;
  (piece.is_whole() ? p.lse : p.partial_lse)[piece.first_row(rows) + first_row + row] = lse;
}

template <int kRows, bool kIsFp8>
__device__ __forceinline__ void attend(const Params& p, const Piece& piece, int first_row, char* shared) {
  using L = Layout<kRows, kIsFp8>;
  const std::uint32_t base = ptx::shared_address(shared);
  const auto stage = [&](int tile) { return base + L::kTiles + tile % L::kStages * kTileBytes; };
  const auto copy = [&](int tile, int page) {
    if (tile < tiles_of(piece)) copy_tile<kIsFp8>(p, piece, tile, page, kIsFp8 ? base + L::kRaw : stage(tile));
    ptx::cp_async_commit_group();
  };
  const int query = min((first_row + thread() / L::kLanes) / p.h_q, p.s_q - 1);
  const int limit = p.is_causal ? piece.length - (p.s_q - 1 - query) : piece.length;

  copy_queries<kRows>(p, piece.sequence, first_row, base);
  copy(0, page_of(p, piece, 0));
  int page = page_of(p, piece, 1);  // a tile ahead of its copy, so that the copy need not wait for it
  Softmax state;
  Output<L> out = {};
  for (int tile = 0; tile < tiles_of(piece); ++tile) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // the tile has arrived, and all have left the stage that the next copy fills
    if constexpr (kIsFp8) {
      expand_tile<kTokens, kThreads>(shared + L::kRaw, shared + L::kTiles);
      __syncthreads();
    }
    copy(tile + 1, page);
    page = page_of(p, piece, tile + 2);
    score<L>(Rows{base}, Rows{stage(tile)}, shared);
    __syncthreads();
    soften<L>(state, shared, p.sm_scale * kLog2E, limit - first_token(piece, tile));
    __syncthreads();
    accumulate<L>(out, Rows{stage(tile)}, shared);
  }
  __syncthreads();
  float* factors = shared_floats(shared, L::kFactors);
  finish_rows<L>(p, piece, first_row, state, factors);
  __syncthreads();
  store<L>(p, piece, first_row, out, factors);
}

template <int kRows, bool kIsFp8>
__global__ void __launch_bounds__(kThreads, 1) mla_decode_kernel(Params p) {
  extern __shared__ uint4 dynamic_shared[];
  const int first_row = static_cast<int>(blockIdx.x) * kRows;
  split_kv::for_each_piece(p.plan, p.b, p.lengths, static_cast<int>(blockIdx.y), [&](const Piece& piece) {
    attend<kRows, kIsFp8>(p, piece, first_row, reinterpret_cast<char*>(dynamic_shared));
  });
}

template <int kRows, bool kIsFp8>
void start(const Params& p, cudaStream_t stream) {
  const dim3 blocks(static_cast<unsigned>(split_kv::query_tiles(p.s_q * p.h_q)),
                    static_cast<unsigned>(p.plan.num_parts));
  launch_kernel(mla_decode_kernel<kRows, kIsFp8>, {blocks, kThreads, Layout<kRows, kIsFp8>::kBytes, stream}, p);
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  const int rows = params.s_q * params.h_q;
  if (split_kv::tile_rows(rows) == 16)
    params.is_fp8 ? start<16, true>(params, stream) : start<16, false>(params, stream);
  else
    params.is_fp8 ? start<64, true>(params, stream) : start<64, false>(params, stream);
  split_kv::combine(params, kLatent, stream);
}

}  // namespace traincost::kernels::mla_decode
