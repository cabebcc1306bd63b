#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include <kernels/naive_decode/naive_decode.hpp>

namespace traincost::kernels::naive_decode {

/// Two batched products of cuBLAS around our softmax, with memory for the scores.
class CublasComposition {
 public:
  explicit CublasComposition(const Problem& problem);
  ~CublasComposition();
  CublasComposition(CublasComposition&&) noexcept;
  CublasComposition& operator=(CublasComposition&&) noexcept;

  void launch(cudaStream_t stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace traincost::kernels::naive_decode
