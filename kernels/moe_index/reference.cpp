#include <algorithm>
#include <vector>

#include <kernels/moe_index/moe_index.hpp>

namespace traincost::kernels::moe_index {

void reference(const Params& p) {
  validate(p);
  const auto has_row = [&](std::int64_t slot) { return p.ids[slot] >= 0 && p.ids[slot] < p.num_experts; };
  std::fill_n(p.counts, p.num_experts, 0);
  for (std::int64_t slot = 0; slot < p.slots; ++slot)
    if (has_row(slot)) ++p.counts[p.ids[slot]];
  p.offsets[0] = 0;
  for (int e = 0; e < p.num_experts; ++e)
    p.offsets[e + 1] = p.offsets[e] + static_cast<int>(ceil_div(p.counts[e], p.alignment)) * p.alignment;

  std::fill_n(p.slot_of_row, row_capacity(p.slots, p.num_experts, p.alignment), -1);
  std::vector<int> next(p.offsets, p.offsets + p.num_experts);
  for (std::int64_t slot = 0; slot < p.slots; ++slot) {
    p.row_of_slot[slot] = has_row(slot) ? next[p.ids[slot]]++ : -1;
    if (has_row(slot)) p.slot_of_row[p.row_of_slot[slot]] = static_cast<int>(slot);
  }
}

}  // namespace traincost::kernels::moe_index
