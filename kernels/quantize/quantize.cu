#include <cuda_fp8.h>

#include <algorithm>

#include <kernels/common/address.hpp>
#include <kernels/common/block_scale.cuh>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/quantize/quantize.hpp>

namespace traincost::kernels::quantize {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kLanes = kScaleBlock / 8;  // that share the 128 columns of a block, eight each
constexpr int kRowsAtOnce = kThreads / kLanes;
constexpr int kVectors = kScaleBlock / kRowsAtOnce;  // per thread of a 128 x 128 block

/// Sixteen lanes per block of 1 x 128. A thread block's scales lie side by side: those of a row, or (kByColumns) of one
/// block of columns.
template <bool kByColumns>
__global__ void __launch_bounds__(kThreads) quantize_rows_kernel(Params p) {
  const int across = static_cast<int>(ceil_div(p.columns, kScaleBlock));
  const int group = static_cast<int>(threadIdx.x) / kLanes;
  const std::int64_t block = static_cast<std::int64_t>(blockIdx.x) * kRowsAtOnce + group;
  const std::int64_t row = kByColumns ? row_offset(blockIdx.x / across, kRowsAtOnce) + group : block / across;
  const int column = static_cast<int>(kByColumns ? blockIdx.x % across : block % across);
  const int vector = column * kLanes + static_cast<int>(threadIdx.x) % kLanes;
  const bool exists = row < p.rows && vector < p.columns / 8;
  const Float8 x = exists ? load8(p.input + row_offset(row, p.columns), vector) : Float8{};
  const float scale = scale_of(warp_max<kLanes>(max_abs(x)));
  if (exists) store_codes(p.output + row_offset(row, p.columns), vector, x, scale);
  if (row < p.rows && threadIdx.x % kLanes == 0)
    p.scales[kByColumns ? row_offset(column, p.scale_stride) + row : block] = scale;
}

/// A thread block per block of 128 x 128, held in registers between the maximum and the division.
__global__ void __launch_bounds__(kThreads) quantize_tiles_kernel(Params p) {
  __shared__ float shared[kWarps];
  const int thread = static_cast<int>(threadIdx.x);
  const int vector = static_cast<int>(blockIdx.x) * kLanes + thread % kLanes;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * kScaleBlock + thread / kLanes;
  Float8 x[kVectors];
  float largest = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const std::int64_t row = first_row + i * kRowsAtOnce;
    const bool exists = row < p.rows && vector < p.columns / 8;
    x[i] = exists ? load8(p.input + row_offset(row, p.columns), vector) : Float8{};
    largest = fmaxf(largest, max_abs(x[i]));
  }
  largest = warp_max(largest);
  if (thread % kWarpSize == 0) shared[thread / kWarpSize] = largest;
  __syncthreads();
#pragma unroll
  for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, shared[w]);
  const float scale = scale_of(largest);
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const std::int64_t row = first_row + i * kRowsAtOnce;
    if (row < p.rows && vector < p.columns / 8) store_codes(p.output + row_offset(row, p.columns), vector, x[i], scale);
  }
  if (thread == 0) p.scales[row_offset(blockIdx.y, gridDim.x) + blockIdx.x] = scale;
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  if (params.rows == 0) return;
  const std::int64_t blocks_per_row = ceil_div(params.columns, kScaleBlock);
  if (params.scale_stride != 0) {
    const auto blocks = static_cast<unsigned>(ceil_div(params.rows, kRowsAtOnce) * blocks_per_row);
    quantize_rows_kernel<true><<<blocks, kThreads, 0, stream>>>(params);
  } else if (params.rows_per_scale == 1) {
    const auto blocks = static_cast<unsigned>(ceil_div(params.rows * blocks_per_row, kRowsAtOnce));
    quantize_rows_kernel<false><<<blocks, kThreads, 0, stream>>>(params);
  } else {
    const dim3 blocks(static_cast<unsigned>(blocks_per_row), static_cast<unsigned>(ceil_div(params.rows, kScaleBlock)));
    quantize_tiles_kernel<<<blocks, kThreads, 0, stream>>>(params);
  }
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::quantize
