#include <algorithm>

#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/stream/stream.hpp>

namespace traincost::kernels::stream {
namespace {

constexpr int kThreads = 256;
constexpr int kVectors = 4;  // a thread has so many loads in flight before it stores

__global__ void __launch_bounds__(kThreads) copy_kernel(const uint4* x, uint4* y, std::int64_t count) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads * kVectors + threadIdx.x;
  uint4 v[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i)
    if (first + i * kThreads < count) v[i] = x[first + i * kThreads];
#pragma unroll
  for (int i = 0; i < kVectors; ++i)
    if (first + i * kThreads < count) y[first + i * kThreads] = v[i];
}

__global__ void __launch_bounds__(kThreads) triad_kernel(TriadParams p) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.count / 4) return;
  const float4 b = reinterpret_cast<const float4*>(p.b)[i];
  const float4 c = reinterpret_cast<const float4*>(p.c)[i];
  reinterpret_cast<float4*>(p.a)[i] =
      make_float4(fmaf(p.scale, c.x, b.x), fmaf(p.scale, c.y, b.y), fmaf(p.scale, c.z, b.z), fmaf(p.scale, c.w, b.w));
}

__global__ void launch_kernel(int* mark) { mark[blockIdx.x] = static_cast<int>(blockIdx.x); }

}  // namespace

void launch(const CopyParams& p, cudaStream_t stream) {
  validate(p);
  const std::int64_t count = p.bytes / 16;
  if (count == 0) return;
  copy_kernel<<<static_cast<unsigned>(ceil_div(count, kThreads * kVectors)), kThreads, 0, stream>>>(
      static_cast<const uint4*>(p.x), static_cast<uint4*>(p.y), count);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch(const TriadParams& p, cudaStream_t stream) {
  validate(p);
  if (p.count == 0) return;
  triad_kernel<<<static_cast<unsigned>(ceil_div(p.count / 4, kThreads)), kThreads, 0, stream>>>(p);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch(const LaunchParams& p, cudaStream_t stream) {
  validate(p);
  launch_kernel<<<static_cast<unsigned>(p.blocks), 1, 0, stream>>>(p.mark);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::stream
