#include <kernels/attention/backward.hpp>
#include <kernels/attention/tile.cuh>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>

/// What stands before and behind the backward pass: once over the queries' rows.
namespace traincost::kernels::attention {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 64;   // of a block
constexpr int kLanes = 32;  // of a row of 128 elements

struct Params {
  Tensors t;
  Outputs o;
  Workspace w;
  float sm_scale;
};

/// Of four bf16 each.
__device__ __forceinline__ float dot(uint2 a, uint2 b) {
  return low_bf16(a.x) * low_bf16(b.x) + high_bf16(a.x) * high_bf16(b.x) + low_bf16(a.y) * low_bf16(b.y) +
         high_bf16(a.y) * high_bf16(b.y);
}

/// Calls visit(token) for the tokens of this block.
template <int kThreadsPerRow, class Visit>
__device__ __forceinline__ void for_each_row(const Tensors& t, Visit visit) {
  const Sequence sequence(t, static_cast<int>(blockIdx.z));
  const int first = static_cast<int>(blockIdx.x) * kRows;
#pragma unroll
  for (int row = static_cast<int>(threadIdx.x / kThreadsPerRow); row < kRows; row += kThreads / kThreadsPerRow)
    if (first + row < sequence.s_q) visit(sequence.first_q + first + row);
}

__global__ void __launch_bounds__(kThreads) preparation_kernel(Params p) {
  const int heads = p.t.shape.h_q, head = static_cast<int>(blockIdx.y);
  const int lane = static_cast<int>(threadIdx.x % kLanes);
  for_each_row<kLanes>(p.t, [&](int token) {
    const std::int64_t at = row_offset(row_offset(token, heads) + head, kLanes) + lane;
    const float delta =
        warp_sum(dot(reinterpret_cast<const uint2*>(p.o.out)[at], reinterpret_cast<const uint2*>(p.t.grad_out)[at]));
    if (lane != 0) return;
    const std::int64_t to = row_offset(head, p.t.shape.total_q) + token;
    p.w.delta[to] = delta;
    p.w.lse[to] = p.o.lse[row_offset(head, p.t.shape.total_q) + token] * kLog2E;
  });
}

template <int kDqk>
__global__ void __launch_bounds__(kThreads) rounding_kernel(Params p) {
  constexpr int kPerRow = 8;
  const int heads = p.t.shape.h_q, head = static_cast<int>(blockIdx.y);
  for_each_row<kPerRow>(p.t, [&](int token) {
    const auto* from =
        reinterpret_cast<const float4*>(p.w.grad_q) + row_offset(row_offset(token, heads) + head, kDqk / 4);
    const std::int64_t to = row_offset(row_offset(token, heads) + head, kDqk / 8);
#pragma unroll
    for (int i = static_cast<int>(threadIdx.x % kPerRow); i < kDqk / 8; i += kPerRow) {
      const float4 a = from[2 * i], b = from[2 * i + 1];
      const float f = p.sm_scale;
      store8(p.o.grad_q, to + i, {a.x * f, a.y * f, a.z * f, a.w * f, b.x * f, b.y * f, b.z * f, b.w * f});
    }
  });
}

void start(void (*kernel)(Params), const Params& p, cudaStream_t stream) {
  const Shape& s = p.t.shape;
  const dim3 blocks(static_cast<unsigned>(ceil_div(s.max_seqlen_q, kRows)), static_cast<unsigned>(s.h_q),
                    static_cast<unsigned>(s.b));
  kernel<<<blocks, kThreads, 0, stream>>>(p);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void launch_preparation(const Tensors& tensors, const Outputs& outputs, const Workspace& workspace,
                        cudaStream_t stream) {
  const Shape& s = tensors.shape;
  if (workspace.grad_q != nullptr)
    TRAINCOST_CUDA_CHECK(cudaMemsetAsync(
        workspace.grad_q, 0, static_cast<std::size_t>(row_offset(row_offset(s.total_q, s.h_q), s.d_qk)) * 4, stream));
  start(preparation_kernel, {tensors, outputs, workspace, s.sm_scale()}, stream);
}

void launch_rounding(const Tensors& tensors, const Outputs& outputs, const Workspace& workspace, cudaStream_t stream) {
  const Shape& s = tensors.shape;
  start(s.d_qk == 192 ? rounding_kernel<192> : rounding_kernel<128>, {tensors, outputs, workspace, s.sm_scale()},
        stream);
}

}  // namespace traincost::kernels::attention
