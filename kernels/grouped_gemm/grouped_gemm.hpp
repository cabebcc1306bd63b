#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// The linear layers of a mixture of experts, bf16 with fp32 accumulation: expert e owns rows
/// first_row[e] .. first_row[e] + counts[e] - 1 and the weight [n, k] of that expert.
///
///   forward          output[r, n]     = sum over k of input[r, k] weight[e, n, k]
///   input gradient   grad_input[r, k] = sum over n of grad_output[r, n] weight[e, n, k]
///   weight gradient  grad_weight[e, n, k] (+)= sum over the rows r of e of grad_output[r, n] input[r, k]
///
/// Row counts live on the device and may be anything, 0 included. Rows that no expert owns are neither read nor
/// written; the weight gradient of an expert without rows is 0.
namespace traincost::kernels::grouped_gemm {

struct Shape {
  int num_experts = 0, n = 0, k = 0;  // n, k: multiples of 8 (16-byte rows)
  std::int64_t max_rows = 0;          // an upper bound of the sum of counts; sizes the grid
};

struct ForwardParams {
  Shape shape;
  const int* first_row = nullptr;         // [num_experts]
  const int* counts = nullptr;            // [num_experts]
  const __nv_bfloat16* input = nullptr;   // [rows, k]
  const __nv_bfloat16* weight = nullptr;  // [num_experts, n, k]
  __nv_bfloat16* output = nullptr;        // [rows, n]
};

struct InputGradientParams {
  Shape shape;
  const int* first_row = nullptr;              // [num_experts]
  const int* counts = nullptr;                 // [num_experts]
  const __nv_bfloat16* grad_output = nullptr;  // [rows, n]
  const __nv_bfloat16* weight = nullptr;       // [num_experts, n, k]
  __nv_bfloat16* grad_input = nullptr;         // [rows, k]
};

struct WeightGradientParams {
  Shape shape;
  bool is_accumulated = false;                 // grad_weight is added to, not overwritten
  const int* first_row = nullptr;              // [num_experts]
  const int* counts = nullptr;                 // [num_experts]
  const __nv_bfloat16* grad_output = nullptr;  // [rows, n]
  const __nv_bfloat16* input = nullptr;        // [rows, k]
  float* grad_weight = nullptr;                // [num_experts, n, k]
};

inline void validate(const Shape& s) {
  require(s.num_experts >= 1, "grouped_gemm", "num_experts", s.num_experts, "1 or more");
  require(s.n >= 8 && s.n % 8 == 0, "grouped_gemm", "n", s.n, "a multiple of 8");
  require(s.k >= 8 && s.k % 8 == 0, "grouped_gemm", "k", s.k, "a multiple of 8");
  require(s.max_rows >= 0 && s.max_rows < (std::int64_t{1} << 31), "grouped_gemm", "max_rows", s.max_rows, "0..2^31-1");
}

void launch(const ForwardParams& params, cudaStream_t stream);
void launch(const InputGradientParams& params, cudaStream_t stream);
void launch(const WeightGradientParams& params, cudaStream_t stream);

void reference(const ForwardParams& params);
void reference(const InputGradientParams& params);
void reference(const WeightGradientParams& params);

}  // namespace traincost::kernels::grouped_gemm
