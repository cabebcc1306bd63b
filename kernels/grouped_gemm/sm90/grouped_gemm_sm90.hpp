#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/grouped_gemm/grouped_gemm.hpp>

/// The same linear layers on Hopper's tensor copies and wgmma, in bf16 and in fp8 (e4m3, scaled in blocks).
///
/// `rows` is the number of rows that the matrices have in memory, those that no expert owns included: they may be read,
/// and must hold numbers or NaN, but reach no output. Without first_row (nullptr) the layout is masked: expert e begins
/// at row e * (rows / num_experts).
namespace traincost::kernels::grouped_gemm::sm90 {

void launch(const ForwardParams& params, std::int64_t rows, cudaStream_t stream);
void launch(const InputGradientParams& params, std::int64_t rows, cudaStream_t stream);
void launch(const WeightGradientParams& params, std::int64_t rows, cudaStream_t stream);

/// output[r, n] = sum over k of (input[r, k] is) (weight[e, n, k] ws), bf16, where is is the scale of row r and of k /
/// 128, ws that of n / 128 and k / 128. The input gradient is the same product with the transposed weight [k, n].
struct Fp8Params {
  Shape shape;                           // k: a multiple of 16
  std::int64_t rows = 0;                 // of input and output
  const int* first_row = nullptr;        // [num_experts], may be nullptr
  const int* counts = nullptr;           // [num_experts]; nullptr: rows / num_experts each
  const std::uint8_t* input = nullptr;   // [rows, k]
  const float* input_scales = nullptr;   // [ceil(k / 128), scale_stride]: by columns of 128, rows side by side
  std::int64_t scale_stride = 0;         // at least rows, a multiple of 4
  const std::uint8_t* weight = nullptr;  // [num_experts, n, k]
  const float* weight_scales = nullptr;  // [num_experts, ceil(n / 128), ceil(k / 128)]
  __nv_bfloat16* output = nullptr;       // [rows, n]
};

/// grad_weight[e, n, k] (+)= sum over the rows r of e of (grad_output[n, r] gs) (input[k, r] is): both operands are
/// quantised along the rows, 128 of them to a scale, and lie transposed. Experts begin at multiples of 128; rows up to
/// the next multiple are zeros.
struct Fp8WeightGradientParams {
  Shape shape;            // k: a multiple of 16
  std::int64_t rows = 0;  // a multiple of 128
  bool is_accumulated = false;
  const int* first_row = nullptr;             // [num_experts], may be nullptr
  const int* counts = nullptr;                // [num_experts]
  const std::uint8_t* grad_output = nullptr;  // [n, rows]
  const float* grad_scales = nullptr;         // [rows / 128, n]
  const std::uint8_t* input = nullptr;        // [k, rows]
  const float* input_scales = nullptr;        // [rows / 128, k]
  float* grad_weight = nullptr;               // [num_experts, n, k]
};

constexpr int kScaleBlock = 128;

inline void validate_rows(const Shape& s, std::int64_t rows) {
  grouped_gemm::validate(s);
  require(rows >= 0 && rows < (std::int64_t{1} << 31), "grouped_gemm", "rows", rows, "0..2^31-1");
}

inline void validate(const Fp8Params& p) {
  validate_rows(p.shape, p.rows);
  require(p.shape.k % 16 == 0, "grouped_gemm", "k", p.shape.k, "a multiple of 16 in fp8");
  require(p.scale_stride >= p.rows && p.scale_stride % 4 == 0, "grouped_gemm", "scale_stride", p.scale_stride,
          "at least rows, a multiple of 4");
}

inline void validate(const Fp8WeightGradientParams& p) {
  validate_rows(p.shape, p.rows);
  require(p.rows > 0 && p.rows % kScaleBlock == 0, "grouped_gemm", "rows", p.rows,
          "a multiple of 128, above 0, in fp8");
  require(p.shape.k % 16 == 0, "grouped_gemm", "k", p.shape.k, "a multiple of 16 in fp8");
  if (p.first_row != nullptr) return;
  require(p.rows / p.shape.num_experts % kScaleBlock == 0, "grouped_gemm", "rows", p.rows,
          "a multiple of 128 for each expert, in the masked layout");
}

void launch(const Fp8Params& params, cudaStream_t stream);
void launch(const Fp8WeightGradientParams& params, cudaStream_t stream);

void reference(const Fp8Params& params);
void reference(const Fp8WeightGradientParams& params);

}  // namespace traincost::kernels::grouped_gemm::sm90
