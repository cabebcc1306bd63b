#pragma once

#include <cudnn.h>

#include <string>

/// cuDNN by dlopen; its header and those of its frontend suffice to build.
namespace traincost::kernels::vendor {

std::string why_no_cudnn();    // "" when it is there
cudnnHandle_t cudnn_handle();  // one for the program; throws without the library
void set_stream(cudnnHandle_t handle, cudaStream_t stream);

}  // namespace traincost::kernels::vendor
