#include <cuda_fp8.h>

#include <kernels/common/address.hpp>
#include <kernels/common/block_scale.cuh>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/moe_permute/moe_permute.hpp>

namespace traincost::kernels::moe_permute {
namespace {

constexpr int kThreads = 128;
constexpr int kElements = 16;  // of a thread: sixteen codes are one store
constexpr int kScaleBlock = 128;
constexpr int kLanes = kScaleBlock / kElements;

__device__ __forceinline__ uint2 codes_of(Float8 x, float scale) {
#pragma unroll
  for (float& e : x.x) e /= scale;
  return make_uint2(pack_e4m3(x.x[0], x.x[1]) | pack_e4m3(x.x[2], x.x[3]) << 16,
                    pack_e4m3(x.x[4], x.x[5]) | pack_e4m3(x.x[6], x.x[7]) << 16);
}

/// A block per token; eight lanes hold 128 elements between their maximum and their codes.
__global__ void __launch_bounds__(kThreads) permute_quantize_kernel(QuantizeParams p) {
  __shared__ int rows[kMaxTopk];
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t token = blockIdx.x;
  if (thread < p.topk) rows[thread] = p.row_of_slot[row_offset(token, p.topk) + thread];
  __syncthreads();

  const int vectors = p.hidden / kElements;
  const __nv_bfloat16* input = p.input + row_offset(token, p.hidden);
  for (int begin = 0; begin < vectors; begin += kThreads) {
    const int vector = begin + thread;
    const bool exists = vector < vectors;
    const Float8 low = exists ? load8(input, 2 * vector) : Float8{};
    const Float8 high = exists ? load8(input, 2 * vector + 1) : Float8{};
    const float scale = scale_of(warp_max<kLanes>(fmaxf(max_abs(low), max_abs(high))));
    if (!exists) continue;
    const uint2 a = codes_of(low, scale);
    const uint2 b = codes_of(high, scale);
    for (int k = 0; k < p.topk; ++k) {
      if (rows[k] < 0) continue;
      reinterpret_cast<uint4*>(p.output + row_offset(rows[k], p.hidden))[vector] = make_uint4(a.x, a.y, b.x, b.y);
      if (vector % kLanes == 0) p.scales[row_offset(vector / kLanes, p.scale_stride) + rows[k]] = scale;
    }
  }
}

}  // namespace

void launch(const QuantizeParams& params, cudaStream_t stream) {
  validate(params);
  if (params.tokens == 0) return;
  permute_quantize_kernel<<<static_cast<unsigned>(params.tokens), kThreads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::moe_permute
