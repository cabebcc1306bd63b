#pragma once

#include <kernels/common/cuda_check.hpp>

namespace traincost::kernels {

struct Grid {
  dim3 blocks;
  int threads, shared_bytes;  // of a block; dynamic shared memory, also beyond the 48 KiB that need no asking
  cudaStream_t stream;
  int cluster = 1;  // blocks
};

/// Starts a kernel, and throws if it cannot start.
template <class... Params, class... Args>
void launch_kernel(void (*kernel)(Params...), const Grid& grid, const Args&... args) {
  TRAINCOST_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, grid.shared_bytes));
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = static_cast<unsigned>(grid.cluster);
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = static_cast<unsigned>(grid.threads);
  config.dynamicSmemBytes = static_cast<std::size_t>(grid.shared_bytes);
  config.stream = grid.stream;
  config.attrs = &cluster;
  config.numAttrs = grid.cluster > 1 ? 1 : 0;  // cards before Hopper have none
  TRAINCOST_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, args...));
}

}  // namespace traincost::kernels
