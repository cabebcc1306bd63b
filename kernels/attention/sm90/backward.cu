#include <kernels/attention/sm90/attention_sm90.hpp>
#include <kernels/attention/sm90/backward_step.cuh>
#include <kernels/common/launch.cuh>
#include <kernels/common/store_sm90.cuh>
#include <kernels/common/vec8.cuh>

/// Three kernels. The first takes delta = grad_out out and clears grad_q. In the second a block takes 128 keys of a
/// head, each of its two warpgroups 64, and walks the queries that see them, of all heads of the group; scores stand on
/// their side (keys x queries), so that p and ds are the left sides of the products for grad_v and grad_k without
/// leaving the registers. Only ds passes through shared memory, to grad_q = ds k, of which each warpgroup takes half
/// of the columns and adds them in fp32. The third rounds grad_q.
namespace traincost::kernels::attention::sm90 {
namespace {

template <class S>
__device__ __forceinline__ void consume(const Shared<S>& shared, const Args& a, const Tile& tile,
                                        const Sequence& sequence) {
  const int warpgroup = __shfl_sync(~0U, static_cast<int>(threadIdx.x) / 128, 0);  // the same for the whole warp
  float grad_k[S::kDQk / 2];
  float grad_v[kDV / 2];
#pragma unroll
  for (int i = 0; i < S::kDQk / 2; ++i) grad_k[i] = 0;
#pragma unroll
  for (int i = 0; i < kDV / 2; ++i) grad_v[i] = 0;
  ptx::hold(grad_k);  // not before this warpgroup has its registers
  ptx::hold(grad_v);
  if (tile.tiles > 0) Consumer<S>{shared, a, tile, sequence, warpgroup}.run(grad_k, grad_v);
#pragma unroll
  for (int i = 0; i < S::kDQk / 2; ++i) grad_k[i] *= a.sm_scale * kUnshift;
#pragma unroll
  for (int i = 0; i < kDV / 2; ++i) grad_v[i] *= kUnshift;
  // The rows of v that this warpgroup multiplied are free.
  ptx::barrier_sync(kWarpgroup + warpgroup, 128);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int key = tile.key() + warp * 16;
  const std::uint32_t staging = shared.v + warp * kStagingBytes;
  const std::int64_t first = row_offset(sequence.first_k + key, a.h_kv) + tile.h_kv;
  store_rows<kDV>(staging, grad_v, {a.grad_v + first * kDV, std::int64_t{a.h_kv} * kDV, sequence.s_k - key, kDV});
  store_rows<S::kDQk>(staging, grad_k,
                      {a.grad_k + first * S::kDQk, std::int64_t{a.h_kv} * S::kDQk, sequence.s_k - key, S::kDQk});
}

template <class S>
__global__ void __launch_bounds__(kThreads, 1)
    backward_kernel(const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k,
                    const __grid_constant__ CUtensorMap v, const __grid_constant__ CUtensorMap grad_out, Args args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  Tile tile(args);
  const Sequence sequence(args.cu_seqlens_q, args.cu_seqlens_k, tile.n);
  if (tile.key() >= sequence.s_k) return;
  tile.find_queries(sequence, args.is_causal);
  extern __shared__ uint4 dynamic[];
  const Shared<S> shared(dynamic);
  init_barriers(shared);
  specialise(
      [&] {
        if (tile.tiles > 0) produce(shared, {&q, &k, &v, &grad_out}, args, tile, sequence);
      },
      [&] { consume(shared, args, tile, sequence); });
#endif
}

struct PrepareArgs {
  const int *cu_seqlens_q, *cu_seqlens_k;  // [b + 1]
  const Bf16 *out, *grad_out;              // [total_q, h_q, kDV]
  const float* lse;                        // [h_q, total_q]
  int total_q;
  Workspace workspace;
};

constexpr int kTileThreads = 256;  // of prepare and finish: a block for each tile of queries

/// delta and lse of a tile's queries; grad_q and turns zero. Queries that see nothing or do not exist get an infinite
/// lse: their probabilities are zero.
template <class S>
__global__ void __launch_bounds__(kTileThreads) prepare_kernel(PrepareArgs a) {
  const int n = static_cast<int>(blockIdx.z), h = static_cast<int>(blockIdx.y), tile = static_cast<int>(blockIdx.x);
  const Sequence sequence(a.cu_seqlens_q, a.cu_seqlens_k, n);
  if (tile * kQueries >= sequence.s_q) return;
  const std::int64_t index = a.workspace.index(h, sequence, n, tile);
  const int thread = static_cast<int>(threadIdx.x);
  auto* grad_q = reinterpret_cast<float4*>(a.workspace.grad_q + index * (kQueries * S::kDQk));
  for (int i = thread; i < kQueries * S::kDQk / 4; i += kTileThreads) grad_q[i] = make_float4(0, 0, 0, 0);
  if (thread < 2) a.workspace.turns[index * 2 + thread] = 0;

  constexpr int kOfRow = kTileThreads / kQueries;  // threads
  const int query = tile * kQueries + thread / kOfRow;
  const bool exists = query < sequence.s_q;
  const std::int64_t at = row_offset(sequence.first_q + query, static_cast<int>(gridDim.y)) + h;
  float delta = 0;
  for (int i = thread % kOfRow; exists && i < kDV / 8; i += kOfRow) {
    const Float8 out = load8(a.out + at * kDV, i), grad_out = load8(a.grad_out + at * kDV, i);
#pragma unroll
    for (int e = 0; e < 8; ++e) delta += out.x[e] * grad_out.x[e];
  }
  delta += __shfl_xor_sync(~0U, delta, 1);
  delta += __shfl_xor_sync(~0U, delta, 2);
  if (thread % kOfRow != 0) return;
  const float lse = exists ? a.lse[row_offset(h, a.total_q) + sequence.first_q + query] : -INFINITY;
  float* row = a.workspace.rows + index * kRowsFloats + thread / kOfRow;
  row[0] = lse == -INFINITY ? INFINITY : lse * kLog2E - kShift;
  row[kQueries] = delta;
}

struct FinishArgs {
  const int *cu_seqlens_q, *cu_seqlens_k;  // [b + 1]
  Workspace workspace;
  float sm_scale;
  Bf16* grad_q;  // [total_q, h_q, d_qk]
};

/// grad_q in bf16.
template <class S>
__global__ void __launch_bounds__(kTileThreads) finish_kernel(FinishArgs a) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  const int n = static_cast<int>(blockIdx.z), h = static_cast<int>(blockIdx.y), tile = static_cast<int>(blockIdx.x);
  const Sequence sequence(a.cu_seqlens_q, a.cu_seqlens_k, n);
  if (tile * kQueries >= sequence.s_q) return;
  __shared__ __align__(128) unsigned char staging[kTileThreads / 32 * kStagingBytes];
  const int thread = static_cast<int>(threadIdx.x) % 128, warpgroup = static_cast<int>(threadIdx.x) / 128;
  const std::int64_t index = a.workspace.index(h, sequence, n, tile);
  const float* from = a.workspace.grad_q + (index * 2 + warpgroup) * (kQueries * S::kHalf) + thread * 4;
  float grad_q[S::kHalf / 2];
#pragma unroll
  for (int i = 0; i < S::kHalf / 2; i += 4) {
    const float4 x = *reinterpret_cast<const float4*>(from + i * 128);
    const float scale = a.sm_scale * kUnshift;
    grad_q[i] = x.x * scale;
    grad_q[i + 1] = x.y * scale;
    grad_q[i + 2] = x.z * scale;
    grad_q[i + 3] = x.w * scale;
  }
  const int query = tile * kQueries + thread / 32 * 16;
  const int h_q = static_cast<int>(gridDim.y);
  store_rows<S::kHalf>(ptx::shared_address(staging) + threadIdx.x / 32 * kStagingBytes, grad_q,
                       {a.grad_q + (row_offset(sequence.first_q + query, h_q) + h) * S::kDQk + warpgroup * S::kHalf,
                        std::int64_t{h_q} * S::kDQk, sequence.s_q - query, S::kHalf});
#endif
}

template <class S>
void launch(const Tensors& t, const Outputs& outputs, const Backward& how, cudaStream_t stream) {
  const Shape& s = t.shape;
  const Workspace space = workspace(s, how.workspace);
  const dim3 tiles(static_cast<unsigned>(ceil_div(s.max_seqlen_q, kQueries)), static_cast<unsigned>(s.h_q),
                   static_cast<unsigned>(s.b));
  if (s.total_q > 0) {
    prepare_kernel<S><<<tiles, kTileThreads, 0, stream>>>(
        {t.cu_seqlens_q, t.cu_seqlens_k, outputs.out, t.grad_out, outputs.lse, s.total_q, space});
    TRAINCOST_CUDA_CHECK(cudaGetLastError());
  }
  if (s.total_k > 0) {
    // Without queries there is nothing to map, and nothing is copied.
    const CUtensorMap v = rows_map(t.v, s.total_k, s.h_kv * kDV, kKeys);
    const CUtensorMap k = rows_map(t.k, s.total_k, s.h_kv * S::kDQk, kKeys, S::kKeyRowBytes);
    const CUtensorMap q = s.total_q > 0 ? rows_map(t.q, s.total_q, s.h_q * S::kDQk, kQueries) : k;
    const CUtensorMap grad_out = s.total_q > 0 ? rows_map(t.grad_out, s.total_q, s.h_q * kDV, kQueries) : v;
    const int blocks = static_cast<int>(ceil_div(s.max_seqlen_k, kKeys));
    const Args args{t.cu_seqlens_q, t.cu_seqlens_k,       space,        s.h_q,          s.h_kv,        blocks,
                    s.is_causal,    how.is_deterministic, s.sm_scale(), outputs.grad_k, outputs.grad_v};
    const auto grid = static_cast<unsigned>(blocks * s.b * s.h_kv);
    launch_kernel(backward_kernel<S>, {grid, kThreads, S::kSharedBytes, stream}, q, k, v, grad_out, args);
  }
  if (s.total_q > 0) {
    finish_kernel<S>
        <<<tiles, kTileThreads, 0, stream>>>({t.cu_seqlens_q, t.cu_seqlens_k, space, s.sm_scale(), outputs.grad_q});
    TRAINCOST_CUDA_CHECK(cudaGetLastError());
  }
}

}  // namespace

std::size_t workspace_bytes(const Shape& s) {
  validate_own(s);
  const Workspace w = workspace(s, nullptr);
  return static_cast<std::size_t>(row_offset(s.h_q, w.tiles)) *
         ((kQueries * static_cast<std::size_t>(s.d_qk) + kRowsFloats) * sizeof(float) + 2 * sizeof(int));
}

void launch_backward(const Tensors& tensors, const Outputs& outputs, const Backward& how, cudaStream_t stream) {
  validate_own(tensors.shape);
  (tensors.shape.d_qk == 192 ? launch<Spec<192>> : launch<Spec<128>>)(tensors, outputs, how, stream);
}

}  // namespace traincost::kernels::attention::sm90
