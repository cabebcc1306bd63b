#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <vector>

#include <kernels/common/random.hpp>
#include <kernels/moe_combine/moe_combine.hpp>
#include <kernels/moe_index/moe_index.hpp>
#include <kernels/moe_permute/moe_permute.hpp>

/// Routings drawn on the host and what the references make of them.
namespace traincost::kernels {

enum class Ids {
  spread,       // uniform
  one_hot,      // all slots to expert 3 or the last
  some_absent,  // a third of the slots has no expert here
  skewed,       // most slots to few experts
};

inline int draw_id(Random& random, int num_experts, Ids kind) {
  switch (kind) {
    case Ids::spread:
      return random.below(num_experts);
    case Ids::one_hot:
      return std::min(3, num_experts - 1);
    case Ids::some_absent:
      return random.below(3) == 0 ? -1 : random.below(num_experts);
    case Ids::skewed:
      break;
  }
  return std::min(random.below(num_experts), std::min(random.below(num_experts), random.below(num_experts)));
}

inline std::vector<int> draw_ids(std::int64_t tokens, int topk, int num_experts, Ids kind, std::uint64_t seed) {
  Random random(seed);
  std::vector<int> ids;
  for (std::int64_t slot = 0; slot < tokens * topk; ++slot) ids.push_back(draw_id(random, num_experts, kind));
  return ids;
}

struct LayerShape {
  std::int64_t tokens;
  int topk, num_experts, alignment, hidden;
  Ids kind = Ids::spread;
};

inline std::vector<int> ids_of(const LayerShape& s) { return draw_ids(s.tokens, s.topk, s.num_experts, s.kind, 1); }

inline std::vector<__nv_bfloat16> tokens_of(const LayerShape& s, std::uint64_t seed) {
  return random_bf16(static_cast<std::size_t>(s.tokens) * s.hidden, -4, 4, seed);
}

struct Order {
  std::vector<int> counts, offsets, row_of_slot, slot_of_row;
  bool operator==(const Order&) const = default;
};

inline Order reference_order(const std::vector<int>& ids, int num_experts, int alignment) {
  const auto slots = static_cast<std::int64_t>(ids.size());
  Order o{std::vector<int>(num_experts, -7), std::vector<int>(num_experts + 1, -7), std::vector<int>(ids.size(), -7),
          std::vector<int>(moe_index::row_capacity(slots, num_experts, alignment), -7)};
  moe_index::reference({.slots = slots,
                        .num_experts = num_experts,
                        .alignment = alignment,
                        .ids = ids.data(),
                        .counts = o.counts.data(),
                        .offsets = o.offsets.data(),
                        .row_of_slot = o.row_of_slot.data(),
                        .slot_of_row = o.slot_of_row.data()});
  return o;
}

inline Order order_of(const LayerShape& s) { return reference_order(ids_of(s), s.num_experts, s.alignment); }

constexpr float kUntouched = -1.5F;  // what outputs hold before

inline std::vector<__nv_bfloat16> reference_permute(const std::vector<__nv_bfloat16>& x, const Order& o,
                                                    const LayerShape& s) {
  std::vector<__nv_bfloat16> rows(o.slot_of_row.size() * s.hidden, __float2bfloat16(kUntouched));
  moe_permute::reference({.tokens = s.tokens,
                          .topk = s.topk,
                          .row_bytes = s.hidden * 2,
                          .row_of_slot = o.row_of_slot.data(),
                          .input = x.data(),
                          .output = rows.data()});
  return rows;
}

inline std::vector<__nv_bfloat16> reference_combine(const std::vector<__nv_bfloat16>& rows,
                                                    const std::vector<float>& weights, const Order& o,
                                                    const LayerShape& s) {
  std::vector<__nv_bfloat16> y(s.tokens * s.hidden, __float2bfloat16(kUntouched));
  moe_combine::reference(moe_combine::Params{.shape = {s.tokens, s.topk, s.hidden},
                                             .row_of_slot = o.row_of_slot.data(),
                                             .weights = weights.data(),
                                             .experts = rows.data(),
                                             .output = y.data()});
  return y;
}

}  // namespace traincost::kernels
