#include <kernels/attention/backward.hpp>
#include <kernels/attention/tile.cuh>
#include <kernels/common/launch.cuh>

/// The backward pass: eight warps hold 16 rows each of a block's keys (or queries) and take them through the other side
/// in steps. With keys as rows, accumulators of probabilities and of their gradients are, packed, the left fragments of
/// the products that give the gradients of values and keys, and never cross shared memory. Gradients of queries come
/// either from the same kernel, by atomic additions in fp32, or, in a fixed order, from another one with queries as
/// rows, which computes scores and their gradients again.
namespace traincost::kernels::attention {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kRows = kWarps * 16;  // of a block
constexpr int kDv = 128;
constexpr int kStages = 2;

enum class Rows { keys, queries };
/// Whether the kernel of the keys adds to the gradients of the queries.
enum class Adds { nothing, to_queries };

struct Params {
  Tensors t;
  Outputs o;
  Workspace w;
  float scale;                        // of scores, to powers of two
  float grad_scale;                   // of gradients of queries and keys
  int more_of_keys, more_of_queries;  // columns that mask() begins or ends later eight rows on
};

template <int kDqk, Rows kSide>
struct Tile {
  // At 192/128 gradients of keys and values leave registers for steps of 32.
  static constexpr int kStep = kSide == Rows::keys && kDqk == 192 ? 32 : 64;
  static constexpr int kQkBytes = kRows * kDqk * 2;
  static constexpr int kStepQkBytes = kStep * kDqk * 2;
  static constexpr int kStageBytes = kStepQkBytes + kStep * kDv * 2;
  static constexpr int kStageBegin = kQkBytes + kRows * kDv * 2;
  static constexpr int kTerms = kStageBegin + kStages * kStageBytes;  // [kStages, 2, kStep] fp32
  static constexpr int kTermBytes = kSide == Rows::keys ? 2 * kStep * 4 : 0;
  static constexpr int kScoreGradients = kTerms + kStages * kTermBytes;  // [kRows, kStep] bf16
  static constexpr int kBytes = kScoreGradients;
  static constexpr int kBytesWithGradients = kScoreGradients + kRows * kStep * 2;
};

/// Scores, probabilities or their gradients: of a warp's 16 rows, two per thread, in four lanes.
template <int kStep>
struct Scores {
  float c[kStep / 8][4];
};

/// rows (16 of a warp) step^T.
template <int kStep, int kColumns>
__device__ __forceinline__ Scores<kStep> multiply(Fragments<kColumns> rows, Fragments<kColumns> step) {
  Scores<kStep> s = {};
#pragma unroll 4  // more would spill
  for (int k = 0; k < kColumns; k += 16) {
    std::uint32_t a[4];
    rows.at_column(k).load(a, 0);
    const auto column = step.at_column(k);
#pragma unroll
    for (int j = 0; j < kStep / 8; j += 2) {
      std::uint32_t b[4];
      column.load(b, j * 8);
      ptx::mma_m16n8k16_bf16(s.c[j], a, b[0], b[1]);
      ptx::mma_m16n8k16_bf16(s.c[j + 1], a, b[2], b[3]);
    }
  }
  return s;
}

/// sum += s step.
template <int kStep, int kColumns>
__device__ __forceinline__ void accumulate(float (&sum)[kColumns / 8][4], const Scores<kStep>& s,
                                           Fragments<kColumns> step) {
#pragma unroll
  for (int k = 0; k < kStep / 16; ++k) {
    std::uint32_t a[4];
    pack_fragment(a, s.c[2 * k], s.c[2 * k + 1]);
#pragma unroll
    for (int j = 0; j < kColumns / 8; j += 2) {
      std::uint32_t b[4];
      step.at_column(j * 8).load_transposed(b, k * 16);
      ptx::mma_m16n8k16_bf16(sum[j], a, b[0], b[1]);
      ptx::mma_m16n8k16_bf16(sum[j + 1], a, b[2], b[3]);
    }
  }
}

/// What a row's (keys: a column's) scores and gradients are reduced by.
template <Rows kSide>
struct Terms {
  std::uint32_t shared;  // keys: [kStep] of the step, from this lane's columns on
  float row[2];          // queries

  [[nodiscard]] __device__ __forceinline__ float2 columns(int j) const {
    if constexpr (kSide == Rows::keys)
      return ptx::ld_shared_v2(shared + j * 8 * 4);
    else
      return {};
  }
  [[nodiscard]] __device__ __forceinline__ float of(float2 columns, int half, int e) const {
    if constexpr (kSide == Rows::keys)
      return e == 0 ? columns.x : columns.y;
    else
      return row[half];
  }
};

/// s -> p = 2^(scale s - lse).
template <int kStep, Rows kSide>
__device__ __forceinline__ void soften(Scores<kStep>& s, float scale, const Terms<kSide>& lse) {
#pragma unroll
  for (int j = 0; j < kStep / 8; ++j) {
    const float2 columns = lse.columns(j);
#pragma unroll
    for (int e = 0; e < 4; ++e) s.c[j][e] = ptx::ex2_approx(s.c[j][e] * scale - lse.of(columns, e / 2, e % 2));
  }
}

/// Which of the step's columns, from this lane's first on, meet its first row: with rows of keys those from `limit` on,
/// with rows of queries those before it. Eight rows on, `more` columns later.
template <int kStep, Rows kSide>
__device__ __forceinline__ void mask(Scores<kStep>& p, int limit, int more) {
#pragma unroll
  for (int half = 0; half < 2; ++half, limit += more)
#pragma unroll
    for (int j = 0; j < kStep / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        if ((j * 8 + e < limit) == (kSide == Rows::keys)) p.c[j][half * 2 + e] = 0;
}

/// The limit of a key's row: the first query that sees it. Full: one before all for keys that exist, one behind all for
/// others, and the same eight rows on.
__device__ __forceinline__ int first_query_or_none(const Sequence& s, int key) {
  return s.is_causal ? key - (s.s_k - s.s_q) : max(-kRows, key + 1 - s.s_k) * kMaxSeqlen;
}

/// p -> ds = p (dp - delta).
template <int kStep, Rows kSide>
__device__ __forceinline__ void differentiate(Scores<kStep>& p, const Scores<kStep>& dp, const Terms<kSide>& delta) {
#pragma unroll
  for (int j = 0; j < kStep / 8; ++j) {
    const float2 columns = delta.columns(j);
#pragma unroll
    for (int e = 0; e < 4; ++e) p.c[j][e] *= dp.c[j][e] - delta.of(columns, e / 2, e % 2);
  }
}

/// ds of all warps in shared memory, rows of kStep bf16 by keys: their reduction is over the keys of the block.
template <int kStep>
struct ScoreGradients {
  std::uint32_t shared;

  [[nodiscard]] __device__ __forceinline__ std::uint32_t at(int row, int chunk) const {
    return shared + row * (kStep * 2) + (chunk ^ (kStep == 64 ? row % 8 : row / 2 % 4)) * 16;
  }
  __device__ __forceinline__ void put(const Scores<kStep>& ds) const {
    const int row = warp() * 16 + quad(), byte = quad_lane() * 4;
#pragma unroll
    for (int j = 0; j < kStep / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        ptx::st_shared(at(row + half * 8, j) + byte, pack_bf16(ds.c[j][half * 2], ds.c[j][half * 2 + 1]));
  }
  /// The m16 x k16 fragment whose rows are the queries from `query` on.
  __device__ __forceinline__ void load(std::uint32_t (&a)[4], int query, int key) const {
    const int matrix = lane() / 8;
    ptx::ldmatrix_x4_trans(a, at(key + matrix / 2 * 8 + lane() % 8, query / 8 + matrix % 2));
  }
};

/// The step's sum over the block's keys of ds k, added to `to` (the step's first query), rows `stride` apart.
template <int kDqk, int kStep>
__device__ __forceinline__ void add_to_queries(const ScoreGradients<kStep>& ds, SwizzledRows<kDqk> keys, float* to,
                                               std::int64_t stride, int rows) {
  constexpr int kWarpsM = kStep / 16, kWarpsN = kWarps / kWarpsM;
  constexpr int kBlocks = kDqk / 16 / kWarpsN;  // of 16 columns, kWarpsN of them apart
  const int query = warp() % kWarpsM * 16, column = warp() / kWarpsM * 16;
  const Fragments<kDqk> key_fragments{Fragments<kDqk>::of_b_transposed(keys).address ^ column * 2};
  float c[kBlocks][2][4] = {};
#pragma unroll
  for (int k = 0; k < kRows; k += 16) {
    std::uint32_t a[4];
    ds.load(a, query, k);
#pragma unroll
    for (int j = 0; j < kBlocks; ++j) {
      std::uint32_t b[4];
      key_fragments.at_column(j * kWarpsN * 16).load_transposed(b, k);
      ptx::mma_m16n8k16_bf16(c[j][0], a, b[0], b[1]);
      ptx::mma_m16n8k16_bf16(c[j][1], a, b[2], b[3]);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = query + half * 8 + quad();
    if (row >= rows) continue;
    float* at = to + row_offset(row, stride) + column + quad_lane() * 2;
#pragma unroll
    for (int j = 0; j < kBlocks; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i) atomicAdd(at + j * kWarpsN * 16 + i / 2 * 8 + i % 2, c[j][i / 2][half * 2 + i % 2]);
  }
}

/// The steps of a block: through the queries of a group's heads, or through the keys.
struct Step {
  int first, head;

  __device__ __forceinline__ Step next(int length, int begin, int end) const {
    return first + length < end ? Step{first + length, head} : Step{begin, head + 1};
  }
};

template <int kDqk, Rows kSide, Adds kAdds>
__global__ void __launch_bounds__(kThreads, 1) backward_kernel(Params p) {
  using T = Tile<kDqk, kSide>;
  constexpr int kStep = T::kStep;
  constexpr bool kIsKeys = kSide == Rows::keys;
  extern __shared__ __align__(128) uint4 dynamic_shared[];
  const std::uint32_t shared = ptx::shared_address(dynamic_shared);
  const SwizzledRows<kDqk> own_qk{shared}, step_qk{shared + T::kStageBegin};
  const SwizzledRows<kDv> own_v{shared + T::kQkBytes}, step_v{step_qk.shared + T::kStepQkBytes};

  const Shape& s = p.t.shape;
  const Sequence sequence(p.t, static_cast<int>(blockIdx.z));
  // The rows that meet most of the other side come first.
  const int first_row = static_cast<int>(kIsKeys ? blockIdx.x : gridDim.x - 1 - blockIdx.x) * kRows;
  const int rows = (kIsKeys ? sequence.s_k : sequence.s_q) - first_row;
  if (rows <= 0) return;
  const int head = static_cast<int>(blockIdx.y), group = s.h_q / s.h_kv;
  const int heads = kIsKeys ? s.h_kv : s.h_q, step_heads = kIsKeys ? s.h_q : s.h_kv;
  const int first_token = (kIsKeys ? sequence.first_k : sequence.first_q) + first_row;
  const int begin = kIsKeys ? sequence.first_query(first_row) / kStep * kStep : 0;
  const int end = kIsKeys ? sequence.s_q : sequence.visible(min(first_row + kRows, sequence.s_q) - 1);
  const int steps = (kIsKeys ? group : 1) * max(0, (end - begin + kStep - 1) / kStep);

  const auto copy = [&](const Step& step, int stage) {
    const int token = (kIsKeys ? sequence.first_q : sequence.first_k) + step.first;
    const int step_rows = (kIsKeys ? sequence.s_q : sequence.s_k) - step.first;
    RowCopy<kThreads, kStep, kDqk>(kIsKeys ? p.t.q : p.t.k, token, step_rows, step_heads, step.head,
                                   step_qk.shared + stage * T::kStageBytes)
        .start(step_heads);
    RowCopy<kThreads, kStep, kDv>(kIsKeys ? p.t.grad_out : p.t.v, token, step_rows, step_heads, step.head,
                                  step_v.shared + stage * T::kStageBytes)
        .start(step_heads);
    if (const int i = static_cast<int>(threadIdx.x); kIsKeys && i < 2 * kStep) {
      const float* from = i < kStep ? p.w.lse : p.w.delta;
      const bool exists = i % kStep < step_rows;
      const std::int64_t at = row_offset(step.head, s.total_q) + sequence.first_q + step.first + i % kStep;
      ptx::cp_async_4(shared + T::kTerms + stage * T::kTermBytes + i * 4, from + (exists ? at : 0), exists ? 4 : 0);
    }
  };
  RowCopy<kThreads, kRows, kDqk>(kIsKeys ? p.t.k : p.t.q, first_token, rows, heads, head, own_qk.shared).start(heads);
  RowCopy<kThreads, kRows, kDv>(kIsKeys ? p.t.v : p.t.grad_out, first_token, rows, heads, head, own_v.shared)
      .start(heads);
  Step next{begin, kIsKeys ? head * group : head / group};
  if (steps > 0) copy(next, 0);
  ptx::cp_async_commit_group();

  const int more = kIsKeys ? p.more_of_keys : p.more_of_queries;
  const int lane_row = first_row + warp() * 16 + quad();
  const int limit = (kIsKeys ? first_query_or_none(sequence, lane_row) : sequence.visible(lane_row)) - quad_lane() * 2;
  Terms<kSide> lse{}, delta{};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = lane_row + half * 8;
    if (!kIsKeys && row < sequence.s_q) {
      const std::int64_t at = row_offset(head, s.total_q) + sequence.first_q + row;
      lse.row[half] = p.w.lse[at];
      delta.row[half] = p.w.delta[at];
    }
  }
  const auto row_qk = Fragments<kDqk>::of_a(own_qk, warp() * 16);
  const auto row_v = Fragments<kDv>::of_a(own_v, warp() * 16);
  const auto qk = Fragments<kDqk>::of_b(step_qk), qk_transposed = Fragments<kDqk>::of_b_transposed(step_qk);
  const auto v = Fragments<kDv>::of_b(step_v), v_transposed = Fragments<kDv>::of_b_transposed(step_v);
  const ScoreGradients<kStep> score_gradients{shared + T::kScoreGradients};
  float grad_qk[kDqk / 8][4] = {}, grad_v[kDv / 8][4] = {};

  for (int n = 0; n < steps; ++n) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // the step has arrived, and all have left the stage that the next copy fills
    const Step step = next;
    next = step.next(kStep, begin, end);
    if (n + 1 < steps) copy(next, (n + 1) % kStages);
    ptx::cp_async_commit_group();

    const int stage = n % kStages;
    const auto at_stage = [&](auto fragments) {
      fragments.address += stage * T::kStageBytes;
      return fragments;
    };
    if constexpr (kIsKeys) {
      lse.shared = shared + T::kTerms + stage * T::kTermBytes + quad_lane() * 8;
      delta.shared = lse.shared + kStep * 4;
    }
    Scores<kStep> scores = multiply<kStep>(row_qk, at_stage(qk));
    soften(scores, p.scale, lse);
    if (kIsKeys ? limit + more > step.first : limit < step.first + kStep)
      mask<kStep, kSide>(scores, limit - step.first, more);
    if constexpr (kIsKeys) accumulate(grad_v, scores, at_stage(v_transposed));
    differentiate(scores, multiply<kStep>(row_v, at_stage(v)), delta);
    if constexpr (kAdds == Adds::to_queries) score_gradients.put(scores);
    accumulate(grad_qk, scores, at_stage(qk_transposed));
    if constexpr (kAdds == Adds::to_queries) {
      __syncthreads();  // the gradients of the scores of all warps are there; they are overwritten after the next one
      float* to = p.w.grad_q + row_offset(row_offset(sequence.first_q + step.first, s.h_q) + step.head, kDqk);
      add_to_queries<kDqk>(score_gradients, own_qk, to, row_offset(s.h_q, kDqk), sequence.s_q - step.first);
    }
  }
  ptx::cp_async_wait_group<0>();
  __syncthreads();                                         // all have left the block's own rows
  const Sequence anew(p.t, static_cast<int>(blockIdx.z));  // kept, it would spill
  const std::int64_t to = row_offset((kIsKeys ? anew.first_k : anew.first_q) + first_row, heads) + head;
  const int stored = (kIsKeys ? anew.s_k : anew.s_q) - first_row;
  __nv_bfloat16* of_qk = (kIsKeys ? p.o.grad_k : p.o.grad_q) + row_offset(to, kDqk);
  store_rows<kDqk>(grad_qk, {p.grad_scale, p.grad_scale}, own_qk, warp() * 16, of_qk, row_offset(heads, kDqk), stored);
  if constexpr (kIsKeys)
    store_rows<kDv>(grad_v, {1, 1}, own_v, warp() * 16, p.o.grad_v + row_offset(to, kDv), row_offset(heads, kDv),
                    stored);
}

template <int kDqk, Rows kSide, Adds kAdds = Adds::nothing>
void start(const Params& p, cudaStream_t stream) {
  using T = Tile<kDqk, kSide>;
  constexpr int kBytes = kAdds == Adds::nothing ? T::kBytes : T::kBytesWithGradients;
  const Shape& s = p.t.shape;
  const int rows = kSide == Rows::keys ? s.max_seqlen_k : s.max_seqlen_q;
  if (rows == 0) return;
  const dim3 blocks(static_cast<unsigned>(ceil_div(rows, kRows)),
                    static_cast<unsigned>(kSide == Rows::keys ? s.h_kv : s.h_q), static_cast<unsigned>(s.b));
  launch_kernel(backward_kernel<kDqk, kSide, kAdds>, {blocks, kThreads, kBytes, stream}, p);
}

template <int kDqk>
void start_all(const Params& p, cudaStream_t stream) {
  const bool has_queries = p.t.shape.max_seqlen_q > 0;
  if (has_queries) launch_preparation(p.t, p.o, p.w, stream);
  if (p.w.grad_q == nullptr) {
    start<kDqk, Rows::keys>(p, stream);
    start<kDqk, Rows::queries>(p, stream);
  } else {
    start<kDqk, Rows::keys, Adds::to_queries>(p, stream);
    if (has_queries) launch_rounding(p.t, p.o, p.w, stream);
  }
}

std::size_t rows_of(const Shape& s) { return static_cast<std::size_t>(s.total_q) * s.h_q; }

}  // namespace

std::size_t workspace_bytes(const Shape& s, bool is_deterministic) {
  return rows_of(s) * sizeof(float) * (2U + (is_deterministic ? 0U : s.d_qk));
}

void launch_backward(const Tensors& tensors, const Outputs& outputs, const Backward& how, cudaStream_t stream) {
  const Shape& s = tensors.shape;
  validate_own(s);
  auto* floats = static_cast<float*>(how.workspace);
  const std::size_t sums = how.is_deterministic ? 0 : rows_of(s) * s.d_qk;
  const Workspace workspace{how.is_deterministic ? nullptr : floats, floats + sums, floats + sums + rows_of(s)};
  const Params p{tensors,
                 outputs,
                 workspace,
                 s.sm_scale() * kLog2E,
                 s.sm_scale(),
                 s.is_causal ? 8 : 8 * kMaxSeqlen,
                 s.is_causal ? 8 : 0};
  if (s.d_qk == 192)
    start_all<192>(p, stream);
  else
    start_all<128>(p, stream);
}

}  // namespace traincost::kernels::attention
