#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include <kernels/grouped_gemm/grouped_gemm.hpp>

/// The same products as a loop of cublasGemmEx over the experts, whose row counts the host must know.
namespace traincost::kernels::grouped_gemm {

class CublasLoop {
 public:
  CublasLoop(std::vector<int> first_row, std::vector<int> counts);
  ~CublasLoop();
  CublasLoop(CublasLoop&&) noexcept;
  CublasLoop& operator=(CublasLoop&&) noexcept;

  /// The device pointers first_row and counts of `params` are not used.
  void launch(const ForwardParams& params, cudaStream_t stream) const;
  void launch(const InputGradientParams& params, cudaStream_t stream) const;
  void launch(const WeightGradientParams& params, cudaStream_t stream) const;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
  std::vector<int> first_row_, counts_;
};

}  // namespace traincost::kernels::grouped_gemm
