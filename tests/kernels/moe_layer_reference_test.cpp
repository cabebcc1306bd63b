// Index, permute and combine: the invariants that hold together.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include <kernels/common/deviation.hpp>
#include <tests/kernels/layer_problem.hpp>

namespace traincost::kernels {
namespace {

struct Routed {
  std::int64_t tokens;
  int topk, num_experts, alignment;
  Ids kind;
};

class Index : public testing::TestWithParam<Routed> {};

TEST_P(Index, IsABijectionSortedByExpertAndStable) {
  const auto [tokens, topk, num_experts, alignment, kind] = GetParam();
  const auto ids = draw_ids(tokens, topk, num_experts, kind, 1);
  const Order o = reference_order(ids, num_experts, alignment);

  EXPECT_EQ(o.offsets.front(), 0);
  std::int64_t rows = 0;
  for (int e = 0; e < num_experts; ++e) {
    EXPECT_EQ(o.offsets[e] % alignment, 0);
    EXPECT_EQ(o.offsets[e + 1], o.offsets[e] + (o.counts[e] + alignment - 1) / alignment * alignment);
    EXPECT_EQ(o.counts[e], std::ranges::count(ids, e));
    int before = -1;
    for (int row = o.offsets[e]; row < o.offsets[e] + o.counts[e]; ++row) {
      const int slot = o.slot_of_row[row];
      ASSERT_GT(slot, before) << "slots of an expert keep their order";
      ASSERT_EQ(ids[slot], e);
      ASSERT_EQ(o.row_of_slot[slot], row);
      before = slot;
      ++rows;
    }
    for (int row = o.offsets[e] + o.counts[e]; row < o.offsets[e + 1]; ++row) ASSERT_EQ(o.slot_of_row[row], -1);
  }
  for (std::size_t row = o.offsets.back(); row < o.slot_of_row.size(); ++row) ASSERT_EQ(o.slot_of_row[row], -1);
  EXPECT_EQ(rows, std::ranges::count_if(ids, [](int id) { return id >= 0; }));
  EXPECT_EQ(rows, std::ranges::count_if(o.row_of_slot, [](int row) { return row >= 0; }));
}

INSTANTIATE_TEST_SUITE_P(MoeLayerReference, Index,
                         testing::Values(Routed{0, 8, 16, 1, Ids::spread}, Routed{1, 1, 1, 1, Ids::spread},
                                         Routed{1, 8, 256, 128, Ids::spread}, Routed{997, 3, 61, 1, Ids::spread},
                                         Routed{997, 3, 61, 128, Ids::spread}, Routed{500, 4, 32, 16, Ids::one_hot},
                                         Routed{500, 4, 32, 16, Ids::some_absent},
                                         Routed{400, 8, 256, 64, Ids::skewed}));

TEST(MoeLayerReference, CombineUndoesPermuteForIdentityExperts) {
  const LayerShape s{37, 4, 16, 8, 136};
  const Order o = order_of(s);
  const auto x = tokens_of(s, 3);
  const auto rows = reference_permute(x, o, s);
  // Powers of two that sum to one: every product and every sum of fp32 is exact.
  std::vector<float> weights;
  for (std::int64_t t = 0; t < s.tokens; ++t) weights.insert(weights.end(), {0.5F, 0.25F, 0.125F, 0.125F});
  const auto y = reference_combine(rows, weights, o, s);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(to_double(y[i]), to_double(x[i]));
}

TEST(MoeLayerReference, PermuteLeavesPaddingAlone) {
  const LayerShape s{10, 2, 4, 32, 16};
  const Order o = order_of(s);
  const auto x = tokens_of(s, 5);
  const auto rows = reference_permute(x, o, s);
  for (std::size_t row = 0; row < o.slot_of_row.size(); ++row)
    for (int h = 0; h < 16; ++h) {
      const int slot = o.slot_of_row[row];
      const double want = slot < 0 ? kUntouched : to_double(x[slot / 2 * 16 + h]);
      ASSERT_EQ(to_double(rows[row * 16 + h]), want);
    }
}

TEST(MoeLayerReference, TheBackwardPassIsTheTransposeOfTheForwardPass) {
  // For y = combine(w, e): <g, dy> = <grad_e, de> + <grad_w, dw>, exact in the limit of fp64.
  const std::int64_t tokens = 9;
  const int topk = 3, hidden = 24, num_experts = 5;
  const auto ids = draw_ids(tokens, topk, num_experts, Ids::some_absent, 6);
  const Order o = reference_order(ids, num_experts, 1);
  const auto experts = random_bf16(o.slot_of_row.size() * hidden, -1, 1, 7);
  const auto g = random_bf16(tokens * hidden, -1, 1, 8);
  const auto weights = random_floats(tokens * topk, 0, 1, 9);
  std::vector<__nv_bfloat16> grad_experts(experts.size(), __float2bfloat16(0));
  std::vector<float> grad_weights(weights.size(), -1);
  moe_combine::reference(moe_combine::BackwardParams{.shape = {.tokens = tokens, .topk = topk, .hidden = hidden},
                                                     .row_of_slot = o.row_of_slot.data(),
                                                     .weights = weights.data(),
                                                     .experts = experts.data(),
                                                     .grad_output = g.data(),
                                                     .grad_experts = grad_experts.data(),
                                                     .grad_weights = grad_weights.data()});
  for (std::int64_t slot = 0; slot < tokens * topk; ++slot) {
    const int row = o.row_of_slot[slot];
    double dot = 0;
    for (int h = 0; h < hidden && row >= 0; ++h) {
      const double gradient = to_double(g[slot / topk * hidden + h]);
      dot += gradient * to_double(experts[row * hidden + h]);
      ASSERT_NEAR(to_double(grad_experts[row * hidden + h]), gradient * weights[slot], 4e-3);
    }
    ASSERT_NEAR(grad_weights[slot], dot, 1e-6);
  }
}

}  // namespace
}  // namespace traincost::kernels
