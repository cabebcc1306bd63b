#include <bench/cuda/device_kernels.hpp>
#include <kernels/common/cuda_check.hpp>

namespace traincost::bench::cuda {
namespace {

__device__ std::uint64_t global_nanoseconds() {
  std::uint64_t value;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(value));
  return value;
}

__global__ void stamp_kernel(Stamp* stamps) {
  std::uint32_t sm;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  stamps[blockIdx.x] = {sm, static_cast<std::uint64_t>(clock64()), global_nanoseconds()};
}

__global__ void blocker_kernel(const volatile int* flag, volatile int* has_given_up) {
  const std::uint64_t start = global_nanoseconds();
  while (*flag == 0)
    if (global_nanoseconds() - start > kBlockerSeconds * 1'000'000'000) {
      *has_given_up = 1;
      return;
    }
}

}  // namespace

void launch_stamps(Stamp* stamps, int blocks, cudaStream_t stream) {
  stamp_kernel<<<static_cast<unsigned>(blocks), 1, 0, stream>>>(stamps);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch_blocker(const volatile int* flag, volatile int* has_given_up, cudaStream_t stream) {
  blocker_kernel<<<1, 1, 0, stream>>>(flag, has_given_up);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::bench::cuda
