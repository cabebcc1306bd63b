#include "ptx_cuda_kernels.hpp"

#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_bf16.h>

#include <cassert>
#include <cstdio>
#include <cub/cub.cuh>

// Ordinary CUDA, as a kernel's author writes it: what nvcc makes of it must run.
namespace {

namespace cg = cooperative_groups;

__constant__ float scale_table[4] = {1, 2, 3, 4};
__device__ int visits = 0;

__global__ void add_kernel(const float* a, const float* b, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i] + b[i] * scale_table[i & 3];
}

template <int kThreads>
__global__ void sum_kernel(const float* in, float* out, int n) {
  __shared__ float partial[kThreads];
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += kThreads) sum += in[i];
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int stride = kThreads / 2; stride >= 32; stride /= 2) {
    if (threadIdx.x < stride) partial[threadIdx.x] += partial[threadIdx.x + stride];
    __syncthreads();
  }
  if (threadIdx.x < 32) {
    sum = partial[threadIdx.x];
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffU, sum, offset);
    if (threadIdx.x == 0) *out = sum;
  }
}

__global__ void histogram_kernel(const int* keys, int* counts, int n, int bins) {
  extern __shared__ int local[];
  for (int i = threadIdx.x; i < bins; i += blockDim.x) local[i] = 0;
  __syncthreads();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(&local[keys[i]], 1);
  __syncthreads();
  for (int bin = threadIdx.x; bin < bins; bin += blockDim.x) {
    if (local[bin] != 0) atomicAdd(&counts[bin], local[bin]);
  }
  if (threadIdx.x == 0) atomicAdd(&visits, 1);
}

__device__ __noinline__ float polynomial(const float* c, float x) { return (c[2] * x + c[1]) * x + c[0]; }

__global__ void functions_kernel(const float* x, float* out, int n) {
  const int i = threadIdx.x;
  if (i >= n) return;
  float c[3] = {x[i], 1.0F, 0.5F};
  c[i % 3] += 1.0F;
  out[i] = expf(x[i]) + sinf(x[i]) + tanhf(x[i]) + logf(x[i] + 2) + polynomial(c, x[i]);
}

__global__ void sort_kernel(const unsigned* keys, unsigned* sorted, int* places, int* scanned) {
  using Sort = cub::BlockRadixSort<unsigned, 128, 4, int>;
  using Scan = cub::BlockScan<int, 128>;
  __shared__ union {
    typename Sort::TempStorage sort;
    typename Scan::TempStorage scan;
  } storage;
  unsigned key[4];
  int place[4];
  for (int j = 0; j < 4; ++j) {
    place[j] = threadIdx.x * 4 + j;
    key[j] = keys[place[j]];
  }
  Sort(storage.sort).Sort(key, place);
  __syncthreads();
  int sum = 0;
  Scan(storage.scan).ExclusiveSum(static_cast<int>(threadIdx.x), sum);
  scanned[threadIdx.x] = sum;
  for (int j = 0; j < 4; ++j) {
    sorted[threadIdx.x * 4 + j] = key[j];
    places[threadIdx.x * 4 + j] = place[j];
  }
}

__global__ void vote_kernel(const int* in, unsigned* out) {
  const int value = in[threadIdx.x];
  const auto tile = cg::tiled_partition<8>(cg::this_thread_block());
  const int tile_sum = cg::reduce(tile, value, cg::plus<int>());
  const unsigned ballot = __ballot_sync(0xffffffffU, value & 1);
  const unsigned same = __match_any_sync(0xffffffffU, value);
  const int count = __syncthreads_count(value > 3);
  const unsigned most = __reduce_max_sync(0xffffffffU, static_cast<unsigned>(value));
  out[threadIdx.x] =
      ballot ^ same ^ (static_cast<unsigned>(tile_sum) << 8) ^ (static_cast<unsigned>(count) << 20) ^ (most << 28);
}

// The grid barrier of its own: every block waits for all others.
__global__ void grid_kernel(unsigned* arrived, unsigned* out) {
  __shared__ unsigned seen;
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(arrived, 1U);
    while (atomicAdd(arrived, 0U) < gridDim.x) __nanosleep(10);
    seen = *reinterpret_cast<volatile unsigned*>(arrived);
  }
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = seen;
}

// Each block waits for the one before it: prefix sums by look-back.
__global__ void chain_kernel(const int* in, int* sums, unsigned* ready) {
  const unsigned block = blockIdx.x;
  if (threadIdx.x != 0) return;
  int sum = in[block];
  if (block > 0) {
    while (atomicAdd(&ready[block - 1], 0U) == 0) __nanosleep(10);
    __threadfence();
    sum += *reinterpret_cast<volatile int*>(&sums[block - 1]);
  }
  sums[block] = sum;
  __threadfence();
  atomicExch(&ready[block], 1U);
}

}  // namespace

void launch_chain(const int* in, int* sums, unsigned* ready, int blocks, cudaStream_t stream) {
  chain_kernel<<<blocks, 32, 0, stream>>>(in, sums, ready);
}
void launch_add(const float* a, const float* b, float* out, int n, cudaStream_t stream) {
  add_kernel<<<(n + 255) / 256, 256, 0, stream>>>(a, b, out, n);
}
void launch_sum(const float* in, float* out, int n, cudaStream_t stream) {
  sum_kernel<256><<<1, 256, 0, stream>>>(in, out, n);
}
void launch_histogram(const int* keys, int* counts, int n, int bins, cudaStream_t stream) {
  histogram_kernel<<<(n + 127) / 128, 128, bins * sizeof(int), stream>>>(keys, counts, n, bins);
}
void launch_functions(const float* x, float* out, int n, cudaStream_t stream) {
  functions_kernel<<<1, 64, 0, stream>>>(x, out, n);
}
void launch_sort(const unsigned* keys, unsigned* sorted, int* places, int* scanned, cudaStream_t stream) {
  sort_kernel<<<1, 128, 0, stream>>>(keys, sorted, places, scanned);
}
void launch_vote(const int* in, unsigned* out, cudaStream_t stream) { vote_kernel<<<1, 64, 0, stream>>>(in, out); }
void launch_grid(unsigned* arrived, unsigned* out, int blocks, cudaStream_t stream) {
  grid_kernel<<<blocks, 64, 0, stream>>>(arrived, out);
}
int read_visits() {
  int value = 0;
  cudaMemcpyFromSymbol(&value, visits, sizeof(value));
  return value;
}
