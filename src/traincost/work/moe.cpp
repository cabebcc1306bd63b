#include <traincost/work/moe.hpp>

namespace traincost::work {
namespace {
using units::Bytes;
using units::Flops;

constexpr double kInt = 4, kFp32 = 4, kBf16 = 2;

// Sigmoid or exponential, bias, comparisons: a convention, since no roof of arithmetic is near.
constexpr double kFlopsPerLogit = 10;
}  // namespace

Flops flops(const MoeGate& op) { return {kFlopsPerLogit * op.tokens * op.num_experts}; }
Flops flops(const MoeIndex&) { return {0}; }
Flops flops(const MoePermute&) { return {0}; }
Flops flops(const MoeCombine& op) {
  // Forward: multiply and add. Backward: the dot product of the weight's gradient, and a multiplication.
  return {(op.pass == Pass::forward ? 2 : 3) * op.tokens * op.topk * op.hidden};
}
Flops flops(const GroupedGemm& op) { return {2 * op.rows * op.n * op.k}; }
Flops flops(const GroupedGemmWeightGradient& op) { return {2 * op.rows * op.n * op.k}; }

Bytes bytes(const MoeGate& op) {
  const double logits = op.tokens * op.num_experts * bytes_per_element(op.logits);
  const double bias_and_load = op.num_experts * (kFp32 + kInt);
  return {logits + bias_and_load + op.tokens * op.topk * (kInt + kFp32)};
}

Bytes bytes(const MoeIndex& op) { return {3 * kInt * op.slots + 2 * kInt * op.num_experts}; }

Bytes bytes(const MoePermute& op) {
  const double row = op.hidden * bytes_per_element(op.dtype);
  return {op.tokens * (row * (1 + op.topk) + kInt * op.topk)};
}

Bytes bytes(const MoeCombine& op) {
  const double experts = op.topk * op.hidden * bytes_per_element(op.dtype);
  const double map_and_weights = op.topk * (kInt + (op.is_weighted ? kFp32 : 0));
  const double forward = experts + op.hidden * kBf16 + map_and_weights;
  const double gradients = op.topk * (op.hidden * kBf16 + kFp32);
  return {op.tokens * (op.pass == Pass::forward ? forward : forward + gradients)};
}

Bytes bytes(const GroupedGemm& op) {
  const double e = bytes_per_element(op.dtype);
  return {op.rows * (op.k * e + op.n * kBf16) + op.num_experts * op.n * op.k * e};
}

Bytes bytes(const GroupedGemmWeightGradient& op) {
  const double gradient = op.num_experts * op.n * op.k * kFp32;
  return {op.rows * (op.n + op.k) * kBf16 + gradient * (op.is_accumulated ? 2 : 1)};
}

}  // namespace traincost::work
