#include <cstring>

#include <kernels/common/address.hpp>
#include <kernels/moe_permute/moe_permute.hpp>

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

}  // namespace traincost::kernels::moe_permute
