#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/fp8.hpp>
#include <kernels/moe_combine/moe_combine.hpp>

namespace traincost::kernels::moe_combine {
namespace {

double element(const Shape& s, const void* experts, const float* scales, std::int64_t row, int column) {
  const std::int64_t at = row_offset(row, s.hidden) + column;
  if (!s.is_fp8) return __bfloat162float(static_cast<const __nv_bfloat16*>(experts)[at]);
  const float scale = scales[row_offset(row, ceil_div(s.hidden, kScaleBlock)) + column / kScaleBlock];
  return static_cast<double>(decode_e4m3(static_cast<const std::uint8_t*>(experts)[at])) * scale;
}

}  // namespace

void reference(const Params& p) {
  validate(p.shape);
  const Shape& s = p.shape;
  for (std::int64_t t = 0; t < s.tokens; ++t)
    for (int h = 0; h < s.hidden; ++h) {
      double sum = 0;
      for (int k = 0; k < s.topk; ++k) {
        const std::int64_t slot = row_offset(t, s.topk) + k;
        const int row = p.row_of_slot[slot];
        if (row >= 0) sum += (p.weights != nullptr ? p.weights[slot] : 1.0) * element(s, p.experts, p.scales, row, h);
      }
      p.output[row_offset(t, s.hidden) + h] = __double2bfloat16(sum);
    }
}

void reference(const BackwardParams& p) {
  validate(p.shape);
  const Shape& s = p.shape;
  for (std::int64_t slot = 0; slot < s.tokens * s.topk; ++slot) {
    const int row = p.row_of_slot[slot];
    double dot = 0;
    for (int h = 0; row >= 0 && h < s.hidden; ++h) {
      const double grad = __bfloat162float(p.grad_output[row_offset(slot / s.topk, s.hidden) + h]);
      dot += grad * element(s, p.experts, p.scales, row, h);
      p.grad_experts[row_offset(row, s.hidden) + h] = __double2bfloat16(grad * p.weights[slot]);
    }
    p.grad_weights[slot] = static_cast<float>(dot);
  }
}

}  // namespace traincost::kernels::moe_combine
