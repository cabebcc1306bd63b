#pragma once

#include <cuda_runtime_api.h>

#include <kernels/attention/attention.hpp>

/// The same attention on Hopper's tensor copies and wgmma.
namespace traincost::kernels::attention::sm90 {

void launch_forward(const Tensors& tensors, const Outputs& outputs, cudaStream_t stream);

}  // namespace traincost::kernels::attention::sm90
