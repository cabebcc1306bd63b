#include <traincost/cost/explain.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <traincost/cost/bill.hpp>

namespace traincost::cost {
namespace {

using units::Seconds;

// At the data sheet's rate or bandwidth, whichever takes longer.
Seconds floor_of(const catalog::Chip& chip, const Kernel& kernel) {
  Seconds floor;
  const auto rate = catalog::rate(chip, kernel.dtype);
  if (rate && kernel.role != Role::quantize) floor = work::flops(kernel.op) / rate->flops_per_s;
  if (chip.memory_bytes_per_s)
    floor = units::max(floor, work::bytes(kernel.op, kernel.dtype) / *chip.memory_bytes_per_s);
  return floor;
}

class Explanation {
 public:
  explicit Explanation(const Pricing& pricing) : pricing_(pricing) {}

  // `times`: how often the busiest stage runs the block in a step.
  void add(const Block& block, double times, bool can_replay) {
    if (times <= 0) return;
    for (const auto* pass : {&block.forward, &block.input_grad, &block.weight_grad}) add(*pass, times, "");
    if (can_replay) add(block.recomputed, times, "recompute");
  }

  std::vector<ExplainedPart> parts;

 private:
  void add(const std::vector<Kernel>& kernels, double times, std::string_view together) {
    const auto priced = price_kernels(pricing_, kernels);
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const auto& k = kernels[i];
      const std::string name = together.empty() ? fmt::format("{}: {} {}", to_string(k.role), work::name(k.op),
                                                              work::to_string(priced[i].timing.dtype_used))
                                                : std::string(together);
      auto part = std::find_if(parts.begin(), parts.end(), [&](const auto& p) { return p.name == name; });
      if (part == parts.end()) {
        const auto source = together.empty() ? pricing_.efficiency.source(k.op, k.dtype) : "as the forward's";
        part = parts.insert(part, {.name = name, .floor = Seconds{}, .source = source});
      }
      part->seconds += priced[i].seconds * times;
      *part->floor += floor_of(pricing_.job.chip, k) *
                      (k.count * times * (together.empty() ? 1 : pricing_.job.layout.recompute_share));
      part->origin = std::max(part->origin, priced[i].timing.origin);
    }
  }

  const Pricing& pricing_;
};

// What parts other than kernels rest on.
std::string source_of(const Part& part) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kSources{{
      {"tensor-parallel collectives (exposed)", "collectives of the scale-up link; constant tensor_exposed"},
      {"context-parallel gathering (exposed)", "collectives; constant tensor_exposed"},
      {"parameter gathering (exposed)", "collectives and network bandwidth; constant data_exposed"},
      {"expert all-to-all (exposed)", "exchange tables and network bandwidth; constant expert_exposed"},
      {"host launches", "constant host_seconds"},
      {"pipeline bubble", "the schedule, simulated"},
      {"gradient reduction (exposed)", "collectives and network bandwidth; constant data_exposed"},
      {"offloading to the host (exposed)", "data sheet of PCIe 4.0"},
      {"stragglers and contention", "constant spread_per_doubling"},
  }};
  for (const auto& [name, source] : kSources)
    if (name == part.name) return std::string(source);
  return "";
}

bool is_kernels(const Part& part) { return part.category == Category::compute && part.name != "optimizer"; }

}  // namespace

std::vector<ExplainedPart> explain(const Job& job, const StepCost& step, const calibrate::ChipEfficiency& efficiency,
                                   const Constants& constants) {
  const Pricing pricing{job, efficiency, constants};
  const auto pipeline = pipeline_cost(pricing, block_table(block_costs(pricing, block_parts(pricing))));
  Explanation out(pricing);
  const auto add_stage = [&](int stage, double micro_batches) {
    const auto& layers = pipeline.plan.chunks.stages[stage];
    if (layers.has_embedding) out.add(embedding_block(job, constants), micro_batches, true);
    out.add(layer_block(job, false, constants), layers.dense * micro_batches, true);
    if (layers.experts > 0) out.add(layer_block(job, true, constants), layers.experts * micro_batches, true);
    if (layers.has_head) out.add(head_block(job, constants), micro_batches, false);
  };
  const double micro_batches = pipeline.plan.shape.micro_batches * (pipeline.is_mirrored ? 0.5 : 1);
  add_stage(pipeline.times.stage, micro_batches);
  if (pipeline.is_mirrored) add_stage(pipeline.plan.shape.stages - 1 - pipeline.times.stage, micro_batches);
  std::stable_sort(out.parts.begin(), out.parts.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
  for (const auto& part : step.parts) {
    if (is_kernels(part)) continue;
    auto& line = out.parts.emplace_back(ExplainedPart{.name = part.name,
                                                      .category = part.category,
                                                      .seconds = part.seconds,
                                                      .origin = part.origin,
                                                      .source = source_of(part)});
    if (part.category == Category::compute) line.source = efficiency.source(work::Stream{1}, work::Dtype::fp32);
  }
  return std::move(out.parts);
}

}  // namespace traincost::cost
