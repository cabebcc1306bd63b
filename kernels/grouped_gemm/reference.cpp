#include <cstdint>

#include <kernels/common/address.hpp>
#include <kernels/grouped_gemm/grouped_gemm.hpp>

namespace traincost::kernels::grouped_gemm {
namespace {

double at(const __nv_bfloat16* matrix, std::int64_t row, std::int64_t columns, std::int64_t column) {
  return __bfloat162float(matrix[row_offset(row, columns) + column]);
}

/// visit(expert, row) for each row that an expert owns.
template <class Visit>
void for_each_row(const Shape& s, const int* first_row, const int* counts, Visit visit) {
  validate(s);
  for (int e = 0; e < s.num_experts; ++e)
    for (int r = 0; r < counts[e]; ++r) visit(e, static_cast<std::int64_t>(first_row[e]) + r);
}

}  // namespace

void reference(const ForwardParams& p) {
  const Shape& s = p.shape;
  for_each_row(s, p.first_row, p.counts, [&](int e, std::int64_t row) {
    for (int n = 0; n < s.n; ++n) {
      double sum = 0;
      for (int k = 0; k < s.k; ++k) sum += at(p.input, row, s.k, k) * at(p.weight, row_offset(e, s.n) + n, s.k, k);
      p.output[row_offset(row, s.n) + n] = __double2bfloat16(sum);
    }
  });
}

void reference(const InputGradientParams& p) {
  const Shape& s = p.shape;
  for_each_row(s, p.first_row, p.counts, [&](int e, std::int64_t row) {
    for (int k = 0; k < s.k; ++k) {
      double sum = 0;
      for (int n = 0; n < s.n; ++n)
        sum += at(p.grad_output, row, s.n, n) * at(p.weight, row_offset(e, s.n) + n, s.k, k);
      p.grad_input[row_offset(row, s.k) + k] = __double2bfloat16(sum);
    }
  });
}

void reference(const WeightGradientParams& p) {
  validate(p.shape);
  const Shape& s = p.shape;
  for (int e = 0; e < s.num_experts; ++e)
    for (int n = 0; n < s.n; ++n)
      for (int k = 0; k < s.k; ++k) {
        float& grad = p.grad_weight[row_offset(row_offset(e, s.n) + n, s.k) + k];
        double sum = p.is_accumulated ? grad : 0;
        for (std::int64_t row = p.first_row[e]; row < p.first_row[e] + p.counts[e]; ++row)
          sum += at(p.grad_output, row, s.n, n) * at(p.input, row, s.k, k);
        grad = static_cast<float>(sum);
      }
}

}  // namespace traincost::kernels::grouped_gemm
