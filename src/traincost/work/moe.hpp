#pragma once

#include <traincost/units/quantity.hpp>
#include <traincost/work/dtype.hpp>
#include <traincost/work/op.hpp>

/// FLOPs and compulsory bytes of the steps that make up a mixture-of-experts layer, for the kernels and their timings.
namespace traincost::work {

/// Scores, selection and weights from the logits [tokens, num_experts].
struct MoeGate {
  double tokens = 0, num_experts = 0, topk = 0;
  Dtype logits = Dtype::fp32;
};

/// Expert ids -> counts, offsets and both maps between slots (token, rank) and rows.
struct MoeIndex {
  double slots = 0, num_experts = 0;
};

/// Each token's row to the rows of its topk experts. Its backward pass is MoeCombine without weights.
struct MoePermute {
  double tokens = 0, hidden = 0, topk = 0;
  Dtype dtype = Dtype::bf16;
};

/// The weighted sum of a token's topk expert rows, written as bf16; backward: both gradients.
struct MoeCombine {
  double tokens = 0, hidden = 0, topk = 0;
  Dtype dtype = Dtype::bf16;  // of the expert rows
  Pass pass = Pass::forward;
  bool is_weighted = true;
};

/// rows over num_experts weights [n, k]; the input gradient swaps n and k.
struct GroupedGemm {
  double rows = 0, num_experts = 0 /* with rows */, n = 0, k = 0;
  Dtype dtype = Dtype::bf16;
};

/// The weights' gradient, fp32, of a GroupedGemm.
struct GroupedGemmWeightGradient {
  double rows = 0, num_experts = 0, n = 0, k = 0;
  bool is_accumulated = false;
};

units::Flops flops(const MoeGate& op);
units::Flops flops(const MoeIndex& op);
units::Flops flops(const MoePermute& op);
units::Flops flops(const MoeCombine& op);
units::Flops flops(const GroupedGemm& op);
units::Flops flops(const GroupedGemmWeightGradient& op);

units::Bytes bytes(const MoeGate& op);
units::Bytes bytes(const MoeIndex& op);
units::Bytes bytes(const MoePermute& op);
units::Bytes bytes(const MoeCombine& op);
units::Bytes bytes(const GroupedGemm& op);
units::Bytes bytes(const GroupedGemmWeightGradient& op);

}  // namespace traincost::work
