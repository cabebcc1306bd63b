#pragma once

#include <cfloat>

#include <kernels/common/exact_math.hpp>
#include <kernels/moe_gate/moe_gate.hpp>

/// The formulas that decide which expert wins, shared by kernel and reference bit by bit.
namespace traincost::kernels::moe_gate {

/// What a weight is made of: the sigmoid, or the finite logit of a softmax. NaN stays NaN.
TRAINCOST_HOST_DEVICE float score_of(float logit, Scoring scoring) {
  if (logit != logit) return logit;
  return scoring == Scoring::sigmoid ? exact::sigmoid(logit) : exact::clamp(logit, -FLT_MAX, FLT_MAX);
}

/// What selection ranks: the score, biased.
TRAINCOST_HOST_DEVICE std::uint32_t selection_key(float score, float bias) {
  return exact::order_key(exact::add(score, bias));
}

/// The key of a group from the keys of its two best experts (second 0: the group has only one).
TRAINCOST_HOST_DEVICE std::uint32_t group_key(std::uint32_t best, std::uint32_t second) {
  const float first = exact::from_order_key(best);
  return exact::order_key(second == 0 ? first : exact::add(first, exact::from_order_key(second)));
}

}  // namespace traincost::kernels::moe_gate
