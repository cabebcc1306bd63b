#pragma once

#include <cuda_runtime_api.h>

namespace ptx {

/// Keeps the error for cudaGetLastError and returns it.
cudaError_t record(cudaError_t error);

struct Kernel;
Kernel* find_kernel(const void* function);

}  // namespace ptx
