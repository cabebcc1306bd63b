#include <algorithm>
#include <cmath>

#include <kernels/common/address.hpp>
#include <kernels/common/fp8.hpp>
#include <kernels/quantize/quantize.hpp>

namespace traincost::kernels::quantize {
namespace {

struct Block {
  std::int64_t row_begin, row_end;
  int column_begin, column_end;
};

template <class Visit>
void for_each_element(const Params& p, const Block& b, Visit visit) {
  for (std::int64_t r = b.row_begin; r < b.row_end; ++r)
    for (int c = b.column_begin; c < b.column_end; ++c) visit(row_offset(r, p.columns) + c);
}

float quantize_block(const Params& p, const Block& b) {
  float largest = 0;
  for_each_element(p, b,
                   [&](std::int64_t i) { largest = std::fmax(largest, std::fabs(__bfloat162float(p.input[i]))); });
  const float scale = largest > 0 ? largest / kMaxE4m3 : 1.0F;
  for_each_element(p, b, [&](std::int64_t i) { p.output[i] = encode_e4m3(__bfloat162float(p.input[i]) / scale); });
  return scale;
}

}  // namespace

void reference(const Params& p) {
  validate(p);
  const std::int64_t across = ceil_div(p.columns, kScaleBlock);
  for (std::int64_t r = 0; r < p.rows; r += p.rows_per_scale)
    for (int c = 0; c < p.columns; c += kScaleBlock) {
      const std::int64_t column = c / kScaleBlock;
      const std::int64_t at = p.scale_stride == 0 ? row_offset(r / p.rows_per_scale, across) + column
                                                  : row_offset(column, p.scale_stride) + r;
      p.scales[at] = quantize_block(p, {.row_begin = r,
                                        .row_end = std::min(r + p.rows_per_scale, p.rows),
                                        .column_begin = c,
                                        .column_end = std::min(c + kScaleBlock, p.columns)});
    }
}

}  // namespace traincost::kernels::quantize
