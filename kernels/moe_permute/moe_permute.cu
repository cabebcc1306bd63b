#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/moe_permute/moe_permute.hpp>

namespace traincost::kernels::moe_permute {
namespace {

constexpr int kThreads = 128;
constexpr int kLoads = 4;  // of 16 bytes in flight per thread before the first store

__global__ void __launch_bounds__(kThreads) moe_permute_kernel(Params p) {
  __shared__ int rows[kMaxTopk];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t token = blockIdx.x;
  if (thread < p.topk) rows[thread] = p.row_of_slot[row_offset(token, p.topk) + thread];
  __syncthreads();

  const int vectors = p.row_bytes / 16;
  const uint4* input = static_cast<const uint4*>(p.input) + row_offset(token, vectors);
  for (int begin = thread; begin < vectors; begin += kThreads * kLoads) {
    uint4 x[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i)
      if (begin + i * kThreads < vectors) x[i] = input[begin + i * kThreads];
    for (int k = 0; k < p.topk; ++k) {
      if (rows[k] < 0) continue;
      uint4* output = static_cast<uint4*>(p.output) + row_offset(rows[k], vectors);
#pragma unroll
      for (int i = 0; i < kLoads; ++i)
        if (begin + i * kThreads < vectors) output[begin + i * kThreads] = x[i];
    }
  }

  for (int i = thread; i < p.words_per_row; i += kThreads) {
    const float scale = p.input_scales[row_offset(token, p.words_per_row) + i];
    for (int k = 0; k < p.topk; ++k)
      if (rows[k] >= 0) p.output_scales[row_offset(rows[k], p.words_per_row) + i] = scale;
  }
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  if (params.tokens == 0) return;
  moe_permute_kernel<<<static_cast<unsigned>(params.tokens), kThreads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::moe_permute
