#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/fp8.hpp>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>

namespace traincost::kernels::grouped_gemm::sm90 {
namespace {

std::int64_t first_of(const int* first_row, int expert, std::int64_t rows, int experts) {
  return first_row != nullptr ? first_row[expert] : expert * (rows / experts);
}

}  // namespace

void reference(const Fp8Params& p) {
  validate(p);
  const Shape& s = p.shape;
  const std::int64_t scales = ceil_div(s.k, kScaleBlock);
  for (int e = 0; e < s.num_experts; ++e) {
    const std::int64_t first = first_of(p.first_row, e, p.rows, s.num_experts);
    const std::int64_t count = p.counts != nullptr ? p.counts[e] : p.rows / s.num_experts;
    for (std::int64_t row = first; row < first + count; ++row)
      for (int n = 0; n < s.n; ++n) {
        const std::int64_t weight = row_offset(row_offset(e, s.n) + n, s.k);
        const std::int64_t weight_scale =
            row_offset(row_offset(e, ceil_div(s.n, kScaleBlock)) + n / kScaleBlock, scales);
        double sum = 0;
        for (int k = 0; k < s.k; ++k)
          sum += static_cast<double>(decode_e4m3(p.input[row_offset(row, s.k) + k])) *
                 p.input_scales[row_offset(k / kScaleBlock, p.scale_stride) + row] * decode_e4m3(p.weight[weight + k]) *
                 p.weight_scales[weight_scale + k / kScaleBlock];
        p.output[row_offset(row, s.n) + n] = __double2bfloat16(sum);
      }
  }
}

void reference(const Fp8WeightGradientParams& p) {
  validate(p);
  const Shape& s = p.shape;
  const auto value = [](const std::uint8_t* codes, const float* scales, std::int64_t outer, std::int64_t outers,
                        std::int64_t row, std::int64_t rows) {
    return static_cast<double>(decode_e4m3(codes[row_offset(outer, rows) + row])) *
           scales[row_offset(row / kScaleBlock, outers) + outer];
  };
  for (int e = 0; e < s.num_experts; ++e) {
    const std::int64_t first = first_of(p.first_row, e, p.rows, s.num_experts);
    for (int n = 0; n < s.n; ++n)
      for (int k = 0; k < s.k; ++k) {
        float& grad = p.grad_weight[row_offset(row_offset(e, s.n) + n, s.k) + k];
        double sum = p.is_accumulated ? grad : 0;
        for (std::int64_t row = first; row < first + p.counts[e]; ++row)
          sum += value(p.grad_output, p.grad_scales, n, s.n, row, p.rows) *
                 value(p.input, p.input_scales, k, s.k, row, p.rows);
        grad = static_cast<float>(sum);
      }
  }
}

}  // namespace traincost::kernels::grouped_gemm::sm90
