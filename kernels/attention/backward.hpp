#pragma once

#include <kernels/attention/attention.hpp>

/// The parts of our own backward pass.
namespace traincost::kernels::attention {

struct Workspace {
  // [total_q, h_q, d_qk], sums in fp32; nullptr: the gradients of queries get a kernel of their own.
  float* grad_q = nullptr;
  float* lse = nullptr;    // [h_q, total_q], to powers of two
  float* delta = nullptr;  // [h_q, total_q]: grad_out out
};

/// lse and delta; the sums become zeros.
void launch_preparation(const Tensors& tensors, const Outputs& outputs, const Workspace& workspace,
                        cudaStream_t stream);
/// grad_q = sm_scale times its sums.
void launch_rounding(const Tensors& tensors, const Outputs& outputs, const Workspace& workspace, cudaStream_t stream);

}  // namespace traincost::kernels::attention
