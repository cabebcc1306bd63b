#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/naive_decode/naive_decode.hpp>

namespace traincost::kernels::naive_decode {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

/// Maximum or sum over the block; `shared` holds a float per warp and is free again when this returns.
template <bool kIsMax>
__device__ __forceinline__ float over_block(float x, float* shared) {
  x = kIsMax ? warp_max(x) : warp_sum(x);
  if (threadIdx.x % kWarpSize == 0) shared[threadIdx.x / kWarpSize] = x;
  __syncthreads();
  x = shared[threadIdx.x % kWarps];
  __syncthreads();
  return kIsMax ? warp_max<kWarps>(x) : warp_sum<kWarps>(x);
}

/// A block per row, which is read three times: once for the maximum, once for the sum, once for the result.
__global__ void __launch_bounds__(kThreads) softmax_kernel(SoftmaxParams p) {
  __shared__ float shared[kWarps];
  const std::int64_t row = blockIdx.x;
  const float* x = p.scores + row_offset(row, p.s_kv);
  const int thread = static_cast<int>(threadIdx.x);
  const int visible = p.s_kv - (p.s_q - 1 - static_cast<int>(row / p.h_q % p.s_q));
  float largest = -INFINITY;
  for (int c = thread; c < visible; c += kThreads) largest = fmaxf(largest, x[c] * p.sm_scale);
  largest = over_block<true>(largest, shared);
  float sum = 0;
  for (int c = thread; c < visible; c += kThreads) sum += expf(x[c] * p.sm_scale - largest);
  sum = over_block<false>(sum, shared);
  __nv_bfloat16* out = p.probabilities + row_offset(row, p.s_kv);
  for (int c = thread; c < p.s_kv; c += kThreads)
    out[c] = __float2bfloat16(c < visible ? expf(x[c] * p.sm_scale - largest) / sum : 0.0F);
  if (thread == 0) p.lse[row] = largest + logf(sum);
}

}  // namespace

void launch(const SoftmaxParams& params, cudaStream_t stream) {
  validate(params);
  const auto rows = static_cast<unsigned>(params.b * params.s_q * params.h_q);
  if (rows == 0) return;
  softmax_kernel<<<rows, kThreads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::naive_decode
