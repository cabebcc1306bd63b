#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include <tests/kernels/gate_problem.hpp>

namespace traincost::kernels::moe_gate {
namespace {

std::vector<int> ids_of(const Routing& r, const Shape& s, std::int64_t token) {
  return {r.ids.begin() + token * s.topk, r.ids.begin() + (token + 1) * s.topk};
}

double weight_of_token(const Routing& r, const Shape& s, std::int64_t token) {
  return std::accumulate(r.weights.begin() + token * s.topk, r.weights.begin() + (token + 1) * s.topk, 0.0);
}

TEST(MoeGateReference, WorkedExampleOfSoftmax) {
  // exp: 1, e, e^2, e: ties of experts 1 and 3 go to 1.
  Problem p{.shape = {.tokens = 1, .num_experts = 4, .topk = 3}, .logits = {0, 1, 2, 1}, .logits_bf16 = {}, .bias = {}};
  const double e = std::exp(1.0);
  const double sum = 1 + 2 * e + e * e;
  const Routing r = reference_routing(p);
  EXPECT_EQ(r.ids, (std::vector<int>{2, 1, 3}));
  EXPECT_FLOAT_EQ(r.weights[0], static_cast<float>(e * e / sum));
  EXPECT_FLOAT_EQ(r.weights[1], static_cast<float>(e / sum));
  p.shape.scoring = Scoring::softmax_renormalized;
  EXPECT_FLOAT_EQ(reference_routing(p).weights[0], static_cast<float>(e * e / (sum - 1)));
}

TEST(MoeGateReference, WorkedExampleOfGroups) {
  // Groups {0, 1}, {2, 3}, {4, 5}: sums of two best 1.1, 1.3, 1.25 in score order of the logits below.
  const auto logit = [](double s) { return static_cast<float>(std::log(s / (1 - s))); };
  const Problem p{.shape = {.tokens = 1,
                            .num_experts = 6,
                            .topk = 2,
                            .num_groups = 3,
                            .topk_groups = 2,
                            .scoring = Scoring::sigmoid,
                            .scale = 2.5F},
                  .logits = {logit(0.9), logit(0.2), logit(0.7), logit(0.6), logit(0.8), logit(0.45)},
                  .logits_bf16 = {},
                  .bias = {}};
  const Routing r = reference_routing(p);
  EXPECT_EQ(r.ids, (std::vector<int>{4, 2}));  // expert 0 has the best score, but its group lost
  EXPECT_NEAR(r.weights[0], 2.5 * 0.8 / 1.5, 1e-6);
  EXPECT_NEAR(r.weights[1], 2.5 * 0.7 / 1.5, 1e-6);
}

TEST(MoeGateReference, DeepSeekV3WeightsSumToTheScaleAndUseFourGroups) {
  const Problem p = problem(deepseek_v3(200), Logits::spread, true, 1);
  const Routing r = reference_routing(p);
  for (std::int64_t t = 0; t < 200; ++t) {
    EXPECT_NEAR(weight_of_token(r, p.shape, t), 2.5, 1e-5);
    std::set<int> groups, distinct;
    for (const int id : ids_of(r, p.shape, t)) groups.insert(id / 32), distinct.insert(id);
    EXPECT_LE(groups.size(), 4U);
    EXPECT_EQ(distinct.size(), 8U);
  }
  EXPECT_EQ(std::accumulate(r.load.begin(), r.load.end(), 0), 200 * 8);
}

TEST(MoeGateReference, TheBiasSelectsAndLeavesTheWeightsAlone) {
  Problem p =
      problem({.tokens = 20, .num_experts = 16, .topk = 4, .scoring = Scoring::sigmoid}, Logits::spread, false, 2);
  p.bias.assign(16, 0);
  p.bias[11] = 100;
  const Routing r = reference_routing(p);
  for (std::int64_t t = 0; t < 20; ++t) {
    EXPECT_EQ(ids_of(r, p.shape, t)[0], 11);
    EXPECT_NEAR(weight_of_token(r, p.shape, t), 1, 1e-6);
  }
  // Adding the same to every bias changes nothing where fp32 keeps the order.
  p.bias.assign(16, 0.25F);
  EXPECT_EQ(reference_routing(p).ids, [&] {
    p.bias.clear();
    return reference_routing(p).ids;
  }());
}

TEST(MoeGateReference, AllEqualRowsGiveTheFirstExperts) {
  for (const Logits kind : {Logits::equal, Logits::zeros}) {
    const Problem p = problem({.tokens = 3, .num_experts = 64, .topk = 6}, kind, false, 3);
    const Routing r = reference_routing(p);
    EXPECT_EQ(ids_of(r, p.shape, 1), (std::vector<int>{0, 1, 2, 3, 4, 5}));
    EXPECT_FLOAT_EQ(r.weights[0], 1.0F / 64);
  }
}

class NonFinite : public testing::TestWithParam<Scoring> {};

TEST_P(NonFinite, NeverGivesAnInvalidIdOrWeight) {
  const Problem p = problem({.tokens = 300, .num_experts = 24, .topk = 16, .scoring = GetParam()}, Logits::non_finite,
                            GetParam() == Scoring::sigmoid, 4);
  const Routing r = reference_routing(p);
  for (std::int64_t t = 0; t < 300; ++t) {
    auto ids = ids_of(r, p.shape, t);
    bool seen_nan = false;
    for (int j = 0; j < 16; ++j) {
      ASSERT_GE(ids[j], 0);
      ASSERT_LT(ids[j], 24);
      ASSERT_TRUE(std::isfinite(r.weights[t * 16 + j]));
      const bool is_nan = std::isnan(p.logits[t * 24 + ids[j]]);
      ASSERT_TRUE(is_nan || !seen_nan) << "a NaN ranked above a number";
      ASSERT_TRUE(!is_nan || r.weights[t * 16 + j] == 0);
      seen_nan = is_nan;
    }
    std::ranges::sort(ids);
    ASSERT_EQ(std::ranges::adjacent_find(ids), ids.end());
  }
}
INSTANTIATE_TEST_SUITE_P(MoeGateReference, NonFinite,
                         testing::Values(Scoring::softmax, Scoring::softmax_renormalized, Scoring::sigmoid));

TEST(MoeGateReference, ARowOfNanTakesTheFirstExpertsWithoutWeight) {
  Problem p = problem({.tokens = 1, .num_experts = 8, .topk = 2}, Logits::equal, false, 5);
  p.logits.assign(8, std::numeric_limits<float>::quiet_NaN());
  const Routing r = reference_routing(p);
  EXPECT_EQ(r.ids, (std::vector<int>{0, 1}));
  EXPECT_EQ(r.weights, (std::vector<float>{0, 0}));
}

class Gradient : public testing::TestWithParam<Scoring> {};

TEST_P(Gradient, EqualsTheDifferenceQuotient) {
  Problem p = problem({.tokens = 2, .num_experts = 12, .topk = 3, .scoring = GetParam(), .scale = 2.5F}, Logits::spread,
                      false, 6);
  const Routing r = reference_routing(p);
  const std::vector<float> g = random_floats(r.weights.size(), -1, 1, 7);
  const std::vector<float> grad = reference_gradient(p, r.ids, g);
  const auto loss = [&] {
    const Routing now = reference_routing(p);
    EXPECT_EQ(now.ids, r.ids);
    return std::inner_product(g.begin(), g.end(), now.weights.begin(), 0.0);
  };
  for (std::size_t i = 0; i < p.logits.size(); ++i) {
    const float before = p.logits[i];
    constexpr float kStep = 1.0F / 256;
    p.logits[i] = before + kStep;
    const double above = loss();
    p.logits[i] = before - kStep;
    const double below = loss();
    p.logits[i] = before;
    EXPECT_NEAR(grad[i], (above - below) / (2 * kStep), 2e-4) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(MoeGateReference, Gradient,
                         testing::Values(Scoring::softmax, Scoring::softmax_renormalized, Scoring::sigmoid));

TEST(MoeGateReference, BiasFollowsTheLoadAndNothingElse) {
  const std::vector<int> load = {0, 4, 8, 4};
  std::vector<float> bias = {1, 1, 1, 1};
  reference(BiasUpdateParams{.num_experts = 4, .gamma = 0.25F, .load = load.data(), .bias = bias.data()});
  EXPECT_EQ(bias, (std::vector<float>{1.25F, 1, 0.75F, 1}));
}

TEST(MoeGateReference, RefusesImpossibleShapesInOneLine) {
  const auto message = [](const Shape& s) -> std::string {
    try {
      validate(s);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message({.tokens = 1, .num_experts = 513, .topk = 1}), "moe_gate: num_experts = 513, expected 1..512");
  EXPECT_EQ(message({.tokens = 1, .num_experts = 64, .topk = 17}), "moe_gate: topk = 17, expected 1..16");
  EXPECT_NE(message({.tokens = 1, .num_experts = 64, .topk = 8, .num_groups = 7, .scoring = Scoring::sigmoid}), "");
  EXPECT_NE(message({.tokens = 1, .num_experts = 64, .topk = 9, .num_groups = 8, .scoring = Scoring::sigmoid}), "");
  EXPECT_NE(message({.tokens = 1, .num_experts = 64, .topk = 2, .num_groups = 2}), "");
  EXPECT_EQ(message(deepseek_v3(4096)), "");
}

}  // namespace
}  // namespace traincost::kernels::moe_gate
