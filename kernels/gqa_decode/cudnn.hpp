#pragma once

#include <memory>

#include <kernels/gqa_decode/gqa_decode.hpp>

namespace traincost::kernels::gqa_decode {

/// cuDNN's attention to a paged cache: one graph for the sizes, mask and scale of `params`.
class CudnnDecode {
 public:
  explicit CudnnDecode(const Params& params);
  ~CudnnDecode();
  CudnnDecode(const CudnnDecode&) = delete;
  CudnnDecode& operator=(const CudnnDecode&) = delete;

  /// Lengths of 1 and more; cuDNN splits the work itself, so the plan and the places of partial results are not used.
  void launch(const Params& params, cudaStream_t stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace traincost::kernels::gqa_decode
