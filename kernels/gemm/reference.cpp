#include <kernels/common/address.hpp>
#include <kernels/common/fp8.hpp>
#include <kernels/gemm/gemm.hpp>

namespace traincost::kernels::gemm {
namespace {

double value(__nv_bfloat16 x) { return __bfloat162float(x); }
double value(std::uint8_t code) { return decode_e4m3(code); }

template <class Element>
double dot(const Params<Element>& p, int row, int column) {
  validate(p.shape);
  const Element* a = p.input + row_offset(row, p.shape.k);
  const Element* b = p.weight + row_offset(column, p.shape.k);
  double sum = 0;
  for (int k = 0; k < p.shape.k; ++k) sum += value(a[k]) * value(b[k]);
  return sum * static_cast<double>(p.scale);
}

}  // namespace

double reference(const Bf16Params& params, int row, int column) { return dot(params, row, column); }
double reference(const Fp8Params& params, int row, int column) { return dot(params, row, column); }

}  // namespace traincost::kernels::gemm
