#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/cost/step.hpp>

namespace traincost::cost {

/// One step of the way from a plain model to `job.model`, in the fastest layout that fits.
struct Ablation {
  std::string change;  // "dense, multi-head attention, bf16", "+ mixture of experts", ...
  catalog::Model model;
  std::optional<Layout> layout;  // nullopt: nothing fits
  StepCost step;
};

/// Dense multi-head attention in bf16 with as many active parameters as `job.model`, then what the model and its layout
/// have beyond: experts, latent attention, the format of `job.layout`, DualPipe. Steps that change nothing are left
/// out.
std::vector<Ablation> ablate(const Job& job, const calibrate::ChipEfficiency& efficiency);

/// As many layers and as wide, with the feed-forward that makes the active parameters equal.
catalog::Model dense_model(const catalog::Model& model);

}  // namespace traincost::cost
