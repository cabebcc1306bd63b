#pragma once

#include <cuda_runtime_api.h>

#include <kernels/attention/attention.hpp>

/// The same attention on Hopper's tensor copies and wgmma. Tensors begin at multiples of 16 bytes.
namespace traincost::kernels::attention::sm90 {

void launch_forward(const Tensors& tensors, const Outputs& outputs, cudaStream_t stream);

/// Bytes that a backward pass needs, aligned as cudaMalloc does.
std::size_t workspace_bytes(const Shape& shape);

/// Reads out and lse of the forward pass. Deterministic: blocks wait for their turn to add to grad_q.
void launch_backward(const Tensors& tensors, const Outputs& outputs, const Backward& how, cudaStream_t stream);

}  // namespace traincost::kernels::attention::sm90
