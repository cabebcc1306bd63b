#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/moe_combine/moe_combine.hpp>

namespace traincost::kernels::moe_combine {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsInFlight = 4;  // rows of experts whose loads overlap
static_assert(kMaxTopk % kRowsInFlight == 0);

/// Eight columns of a row, dequantised.
__device__ __forceinline__ Float8 load_row8(const __nv_bfloat16* experts, const float*, std::int64_t row, int hidden,
                                            int vector) {
  return load8(experts + row_offset(row, hidden), vector);
}

__device__ __forceinline__ Float8 load_row8(const __nv_fp8_e4m3* experts, const float* scales, std::int64_t row,
                                            int hidden, int vector) {
  const float scale = scales[row_offset(row, ceil_div(hidden, kScaleBlock)) + vector / (kScaleBlock / 8)];
  Float8 f = load8(experts + row_offset(row, hidden), vector);
#pragma unroll
  for (float& x : f.x) x *= scale;
  return f;
}

template <class Element>
__global__ void __launch_bounds__(kThreads) moe_combine_kernel(Params p) {
  __shared__ int rows[kMaxTopk];
  __shared__ float weights[kMaxTopk];
  const Shape& s = p.shape;
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t token = blockIdx.x;
  if (thread < kMaxTopk) {
    const int row = thread < s.topk ? p.row_of_slot[row_offset(token, s.topk) + thread] : -1;
    const bool is_weighted = row >= 0 && p.weights != nullptr;
    rows[thread] = row;
    weights[thread] = is_weighted ? p.weights[row_offset(token, s.topk) + thread] : 1.0F;
  }
  __syncthreads();

  const auto* experts = static_cast<const Element*>(p.experts);
  for (int v = thread; v < s.hidden / 8; v += kThreads) {
    Float8 sum = {};
    for (int first = 0; first < s.topk; first += kRowsInFlight) {
      Float8 x[kRowsInFlight];
#pragma unroll
      for (int k = 0; k < kRowsInFlight; ++k) {
        const int row = rows[first + k];
        x[k] = row >= 0 ? load_row8(experts, p.scales, row, s.hidden, v) : Float8{};
      }
#pragma unroll
      for (int k = 0; k < kRowsInFlight; ++k)
#pragma unroll
        for (int i = 0; i < 8; ++i) sum.x[i] = fmaf(weights[first + k], x[k].x[i], sum.x[i]);
    }
    store8(p.output + row_offset(token, s.hidden), v, sum);
  }
}

/// One block per token and one warp per rank: the gradient of the output comes from memory once and then from L1.
template <class Element>
__global__ void __launch_bounds__(kMaxTopk* kWarpSize) moe_combine_backward_kernel(BackwardParams p) {
  const Shape& s = p.shape;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int k = static_cast<int>(threadIdx.x) / kWarpSize;
  const std::int64_t token = blockIdx.x;
  const std::int64_t slot = row_offset(token, s.topk) + k;
  const int row = p.row_of_slot[slot];
  if (row < 0) {
    if (lane == 0) p.grad_weights[slot] = 0;
    return;
  }
  const float weight = p.weights[slot];
  const auto* experts = static_cast<const Element*>(p.experts);
  float dot = 0;
#pragma unroll 4
  for (int v = lane; v < s.hidden / 8; v += kWarpSize) {
    Float8 g = load8(p.grad_output + row_offset(token, s.hidden), v);
    const Float8 x = load_row8(experts, p.scales, row, s.hidden, v);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      dot = fmaf(g.x[i], x.x[i], dot);
      g.x[i] *= weight;
    }
    store8(p.grad_experts + row_offset(row, s.hidden), v, g);
  }
  dot = warp_sum(dot);
  if (lane == 0) p.grad_weights[slot] = dot;
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params.shape);
  if (params.shape.tokens == 0) return;
  const auto blocks = static_cast<unsigned>(params.shape.tokens);
  if (params.shape.is_fp8)
    moe_combine_kernel<__nv_fp8_e4m3><<<blocks, kThreads, 0, stream>>>(params);
  else
    moe_combine_kernel<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch(const BackwardParams& params, cudaStream_t stream) {
  validate(params.shape);
  if (params.shape.tokens == 0) return;
  const auto blocks = static_cast<unsigned>(params.shape.tokens);
  const int threads = params.shape.topk * kWarpSize;
  if (params.shape.is_fp8)
    moe_combine_backward_kernel<__nv_fp8_e4m3><<<blocks, threads, 0, stream>>>(params);
  else
    moe_combine_backward_kernel<__nv_bfloat16><<<blocks, threads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::moe_combine
