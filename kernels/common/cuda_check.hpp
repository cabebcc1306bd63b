#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace traincost::kernels {

struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void throw_if_failed(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw CudaError(std::string(file) + ":" + std::to_string(line) + ": " + expression + ": " +
                  cudaGetErrorString(status));
}

}  // namespace traincost::kernels

#define TRAINCOST_CUDA_CHECK(expression) \
  ::traincost::kernels::throw_if_failed((expression), #expression, __FILE__, __LINE__)
