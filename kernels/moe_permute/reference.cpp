#include <cstring>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/moe_permute/moe_permute.hpp>
#include <kernels/quantize/quantize.hpp>

namespace traincost::kernels::moe_permute {

void reference(const Params& p) {
  validate(p);
  const auto* input = static_cast<const char*>(p.input);
  auto* output = static_cast<char*>(p.output);
  for (std::int64_t slot = 0; slot < p.tokens * p.topk; ++slot) {
    const std::int64_t row = p.row_of_slot[slot];
    const std::int64_t token = slot / p.topk;
    if (row < 0) continue;
    std::memcpy(output + row_offset(row, p.row_bytes), input + row_offset(token, p.row_bytes), p.row_bytes);
    for (int i = 0; i < p.words_per_row; ++i)
      p.output_scales[row_offset(row, p.words_per_row) + i] = p.input_scales[row_offset(token, p.words_per_row) + i];
  }
}

void reference(const QuantizeParams& p) {
  validate(p);
  const std::int64_t blocks = ceil_div(p.hidden, quantize::kScaleBlock);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(row_offset(p.tokens, p.hidden)));
  std::vector<float> scales(static_cast<std::size_t>(row_offset(p.tokens, blocks)));
  quantize::reference(
      {.rows = p.tokens, .columns = p.hidden, .input = p.input, .output = codes.data(), .scales = scales.data()});
  for (std::int64_t slot = 0; slot < p.tokens * p.topk; ++slot) {
    const std::int64_t row = p.row_of_slot[slot];
    const std::int64_t token = slot / p.topk;
    if (row < 0) continue;
    std::memcpy(p.output + row_offset(row, p.hidden), codes.data() + row_offset(token, p.hidden), p.hidden);
    for (std::int64_t i = 0; i < blocks; ++i)
      p.scales[row_offset(i, p.scale_stride) + row] = scales[row_offset(token, blocks) + i];
  }
}

}  // namespace traincost::kernels::moe_permute
