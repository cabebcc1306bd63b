#include "ptx_faults_kernels.hpp"

#undef NDEBUG  // a kernel's assertion is one of the faults
#include <cassert>

namespace ptx::test {
namespace {

constexpr int kThreads = 128;
constexpr unsigned kFull = 0xffffffffU;

template <Reduction kFault>
__global__ void reduction_kernel(const float* in, float* out, int n) {
  __shared__ float before[kThreads];
  __shared__ float partial[kThreads];
  __shared__ float last[32];
  const int t = threadIdx.x;
  if (kFault == Reduction::kBarrierAfterExit && t >= 96) return;
  if (kFault == Reduction::kAssertion) assert(t < 64);
  if (kFault == Reduction::kSpinsForEver) {
    while (reinterpret_cast<const volatile float*>(in)[0] > 0) {
    }
  }
  float sum = 0;
  if (kFault == Reduction::kNoRangeCheck) {
    for (int i = 0; i < n; i += kThreads) sum += in[i + t];
  } else {
    for (int i = t; i < n; i += kThreads) sum += in[i];
  }
  if (kFault == Reduction::kMisaligned) {
    const float4 v = reinterpret_cast<const float4*>(in + 1)[t];
    sum += v.x + v.y + v.z + v.w;
  }
  if (kFault == Reduction::kReadsUnwrittenShared) sum += 0 * before[t];
  before[t] = sum;
  partial[t + (kFault == Reduction::kSharedPastEnd ? 1 : 0)] = before[t];
  if (kFault != Reduction::kNoBarrierBefore) __syncthreads();
  for (int stride = kThreads / 2; stride >= 32; stride /= 2) {
    if (t < stride) {
      partial[t] += partial[t + stride];
      if (kFault == Reduction::kBarrierInBranch) __syncthreads();
      if (kFault == Reduction::kBarrierTwice && t < 32) __syncthreads();
    }
    if (kFault != Reduction::kNoBarrierInside) __syncthreads();
  }
  if (t >= 32) return;
  last[t] = partial[t];
  if (kFault != Reduction::kNoWarpBarrier) __syncwarp();
  sum = last[31 - t];
  if (kFault == Reduction::kShuffleInBranch) {
    if (t < 16) sum += __shfl_down_sync(kFull, sum, 16);
  } else if (kFault == Reduction::kTwoShuffles) {
    if (t < 16) {
      sum += __shfl_down_sync(kFull, sum, 16);
    } else {
      sum -= __shfl_xor_sync(kFull, sum, 1);
    }
  } else {
    sum += __shfl_down_sync(kFault == Reduction::kWrongMask ? 0xffffU : kFull, sum, 16);
  }
  for (int offset = 8; offset > 0; offset /= 2) sum += __shfl_down_sync(kFull, sum, offset);
  if (t == 0 && kFault != Reduction::kNothingStored) out[kFault == Reduction::kWritesPastEnd ? 1 : 0] = sum;
}

template <Histogram kFault>
__global__ void histogram_kernel(const int* keys, int* counts, int n) {
  __shared__ int local[kThreads];
  local[kThreads - 1 - threadIdx.x] = 0;
  if (kFault != Histogram::kNoBarrierAfterZero) __syncthreads();
  for (int i = threadIdx.x; i < n; i += kThreads) {
    if (kFault == Histogram::kNotAtomic) {
      ++local[keys[i]];
    } else {
      atomicAdd(&local[keys[i]], 1);
    }
  }
  if (kFault != Histogram::kNoBarrierBeforeRead) __syncthreads();
  counts[threadIdx.x] = local[threadIdx.x];
}

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

__device__ void copy_async(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

template <Gemm kFault>
__global__ void gemm_kernel(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int k) {
  __shared__ alignas(16) __nv_bfloat16 tile_a[2][16][16];
  __shared__ alignas(16) __nv_bfloat16 tile_b[2][32][16];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  auto load = [&](int step) {
    const int slot = step % 2;
    if (t < 32) {
      copy_async(&tile_a[slot][t / 2][t % 2 * 8], a + t / 2 * k + step * 16 + t % 2 * 8);
    } else if (t < 96) {
      const int u = t - 32;
      copy_async(&tile_b[slot][u / 2][u % 2 * 8], b + u / 2 * k + step * 16 + u % 2 * 8);
    }
  };
  float d[4] = {};
  const int steps = k / 16;
  load(0);
  asm volatile("cp.async.commit_group;");
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) load(step + 1);
    asm volatile("cp.async.commit_group;");
    if (kFault == Gemm::kWaitsForTooFew) {
      asm volatile("cp.async.wait_group 2;" ::: "memory");
    } else if (kFault != Gemm::kNoWait) {
      asm volatile("cp.async.wait_group 1;" ::: "memory");
    }
    if (kFault != Gemm::kNoBarrierAfterWait) __syncthreads();
    unsigned fa[4], fb[2];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                 : "r"(shared_address(&tile_a[step % 2][lane % 16][lane / 16 * 8]))
                 : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(fb[0]), "=r"(fb[1])
                 : "r"(shared_address(&tile_b[step % 2][warp * 8 + lane % 8][lane / 8 % 2 * 8]))
                 : "memory");
    const int a1 = kFault == Gemm::kSwappedA ? 2 : 1, b0 = kFault == Gemm::kSwappedB ? 1 : 0;
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, "
        "%2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(fa[0]), "r"(fa[a1]), "r"(fa[3 - a1]), "r"(fa[3]), "r"(fb[b0]), "r"(fb[1 - b0]));
    if (kFault != Gemm::kNoBarrierAtEnd) __syncthreads();
  }
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 32 + warp * 8 + lane % 4 * 2 + i % 2] = d[i];
}

__device__ void barrier_sync(int id) { asm volatile("bar.sync %0, 64;" ::"r"(id) : "memory"); }
__device__ void barrier_arrive(int id) { asm volatile("bar.arrive %0, 64;" ::"r"(id) : "memory"); }

// Barriers 1, 2: slot full; 3, 4: slot empty.
template <Ring kFault>
__global__ void ring_kernel(const int* in, int* out, int steps) {
  __shared__ int ring[2][32];
  const int lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    for (int step = 0; step < steps; ++step) {
      if (step >= 2 && kFault != Ring::kNoEmptyWait) barrier_sync(3 + step % 2);
      ring[step % 2][lane] = in[step * 32 + lane];
      if (kFault != Ring::kNoArrive || step != 3) barrier_arrive(1 + step % 2);
    }
  } else {
    for (int step = 0; step < steps; ++step) {
      if (kFault != Ring::kNoFullWait) barrier_sync(1 + step % 2);
      out[step * 32 + lane] = ring[step % 2][31 - lane];
      if (step + 2 < steps && kFault != Ring::kNoEmptyWait) barrier_arrive(3 + step % 2);
    }
  }
}

}  // namespace

void launch_reduction(Reduction fault, const float* in, float* out, int n, cudaStream_t stream) {
#define REDUCTION(fault)                                                        \
  case Reduction::fault:                                                        \
    reduction_kernel<Reduction::fault><<<1, kThreads, 0, stream>>>(in, out, n); \
    break;
  switch (fault) {
    REDUCTION(kNone)
    REDUCTION(kNoRangeCheck)
    REDUCTION(kWritesPastEnd)
    REDUCTION(kMisaligned)
    REDUCTION(kSharedPastEnd)
    REDUCTION(kNoBarrierBefore)
    REDUCTION(kNoBarrierInside)
    REDUCTION(kNoWarpBarrier)
    REDUCTION(kNothingStored)
    REDUCTION(kReadsUnwrittenShared)
    REDUCTION(kBarrierAfterExit)
    REDUCTION(kBarrierInBranch)
    REDUCTION(kBarrierTwice)
    REDUCTION(kShuffleInBranch)
    REDUCTION(kWrongMask)
    REDUCTION(kTwoShuffles)
    REDUCTION(kAssertion)
    REDUCTION(kSpinsForEver)
  }
#undef REDUCTION
}

void launch_histogram_fault(Histogram fault, const int* keys, int* counts, int n, cudaStream_t stream) {
  switch (fault) {
    case Histogram::kNone:
      histogram_kernel<Histogram::kNone><<<1, kThreads, 0, stream>>>(keys, counts, n);
      break;
    case Histogram::kNoBarrierAfterZero:
      histogram_kernel<Histogram::kNoBarrierAfterZero><<<1, kThreads, 0, stream>>>(keys, counts, n);
      break;
    case Histogram::kNoBarrierBeforeRead:
      histogram_kernel<Histogram::kNoBarrierBeforeRead><<<1, kThreads, 0, stream>>>(keys, counts, n);
      break;
    case Histogram::kNotAtomic:
      histogram_kernel<Histogram::kNotAtomic><<<1, kThreads, 0, stream>>>(keys, counts, n);
      break;
  }
}

void launch_gemm(Gemm fault, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int k, cudaStream_t stream) {
#define GEMM(fault)                                                   \
  case Gemm::fault:                                                   \
    gemm_kernel<Gemm::fault><<<1, kThreads, 0, stream>>>(a, b, c, k); \
    break;
  switch (fault) {
    GEMM(kNone)
    GEMM(kNoWait)
    GEMM(kWaitsForTooFew)
    GEMM(kNoBarrierAfterWait)
    GEMM(kNoBarrierAtEnd)
    GEMM(kSwappedA)
    GEMM(kSwappedB)
  }
#undef GEMM
}

void launch_ring(Ring fault, const int* in, int* out, int steps, cudaStream_t stream) {
  switch (fault) {
    case Ring::kNone:
      ring_kernel<Ring::kNone><<<1, 64, 0, stream>>>(in, out, steps);
      break;
    case Ring::kNoFullWait:
      ring_kernel<Ring::kNoFullWait><<<1, 64, 0, stream>>>(in, out, steps);
      break;
    case Ring::kNoEmptyWait:
      ring_kernel<Ring::kNoEmptyWait><<<1, 64, 0, stream>>>(in, out, steps);
      break;
    case Ring::kNoArrive:
      ring_kernel<Ring::kNoArrive><<<1, 64, 0, stream>>>(in, out, steps);
      break;
  }
}

}  // namespace ptx::test
