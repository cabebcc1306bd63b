#include <traincost/cost/layout.hpp>

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

namespace traincost::cost {
namespace {
constexpr std::array<std::string_view, 4> kSchedules{"1f1b", "interleaved", "zero_bubble", "dual_pipe"};
constexpr std::array<std::string_view, 3> kRecomputes{"none", "selective", "full"};
constexpr std::array<std::string_view, 4> kShardings{"none", "zero1", "zero2", "zero3"};
constexpr std::array<std::string_view, 4> kPlacements{"tensor_first", "pipeline_first", "packed", "network"};
constexpr std::array<std::string_view, 4> kTensorOverlaps{"by_stack", "none", "pipe", "ring"};

template <class Enum, std::size_t kCount>
std::optional<Enum> parse(const std::array<std::string_view, kCount>& names, std::string_view text) {
  for (std::size_t i = 0; i < kCount; ++i)
    if (names[i] == text) return static_cast<Enum>(i);
  return std::nullopt;
}

bool divides(double divisor, double value) { return std::fmod(value, divisor) == 0; }
}  // namespace

double data_par(const Layout& l) { return l.gpus / (l.tensor_par * l.pipeline_par * l.context_par); }

double fully_recomputed(const Layout& l) { return l.recompute == Recompute::full ? l.recompute_share : 0; }

double micro_batches(const Layout& l) { return l.global_batch / (data_par(l) * l.micro_batch); }

std::optional<std::string> why_impossible(const Layout& l, const catalog::Model& model) {
  const std::array positive{std::pair{"gpus", l.gpus},
                            std::pair{"tensor_par", l.tensor_par},
                            std::pair{"pipeline_par", l.pipeline_par},
                            std::pair{"context_par", l.context_par},
                            std::pair{"expert_par", l.expert_par},
                            std::pair{"micro_batch", l.micro_batch},
                            std::pair{"interleave", l.interleave},
                            std::pair{"global_batch", l.global_batch},
                            std::pair{"seq_len", l.seq_len}};
  for (const auto& [name, value] : positive)
    if (!(value > 0) || !std::isfinite(value)) return fmt::format("{} = {} must be positive", name, value);
  const double model_par = l.tensor_par * l.pipeline_par * l.context_par;
  if (!divides(model_par, l.gpus))
    return fmt::format("tensor x pipeline x context = {} does not divide {} GPUs", model_par, l.gpus);
  if (micro_batches(l) < 1)
    return fmt::format("global batch {} is smaller than data_par {} x micro_batch {}", l.global_batch, data_par(l),
                       l.micro_batch);
  // Embedding and head may have a chunk to themselves.
  if (l.pipeline_par * l.interleave > model.layers + 2)
    return fmt::format("{} stages x {} chunks exceed {} layers", l.pipeline_par, l.interleave, model.layers);
  if (l.tensor_par > model.heads) return fmt::format("tensor_par {} exceeds {} heads", l.tensor_par, model.heads);
  if (l.expert_par > 1 && l.expert_par > model.num_experts)
    return fmt::format("expert_par {} exceeds {} experts", l.expert_par, model.num_experts);
  if (l.expert_par > l.gpus / l.pipeline_par)
    return fmt::format("expert_par {} exceeds the {} GPUs of a stage", l.expert_par, l.gpus / l.pipeline_par);
  if (!(l.recompute_share >= 0 && l.recompute_share <= 1))
    return fmt::format("recompute_share = {} must be from 0 to 1", l.recompute_share);
  return std::nullopt;
}

std::string describe(const Layout& l) {
  return fmt::format("TP{} PP{} EP{} CP{} DP{}, micro-batch {}, {}{}, recompute {}{}, {}, {}", l.tensor_par,
                     l.pipeline_par, l.expert_par, l.context_par, data_par(l), l.micro_batch, to_string(l.schedule),
                     l.interleave > 1 ? fmt::format(" x{}", l.interleave) : "", to_string(l.recompute),
                     l.recompute_share < 1 ? fmt::format(" of {:.0f} % of the layers", 100 * l.recompute_share) : "",
                     to_string(l.sharding), work::to_string(l.dtype));
}

std::string_view to_string(Schedule v) { return kSchedules[static_cast<std::size_t>(v)]; }
std::string_view to_string(Recompute v) { return kRecomputes[static_cast<std::size_t>(v)]; }
std::string_view to_string(Sharding v) { return kShardings[static_cast<std::size_t>(v)]; }
std::string_view to_string(Placement v) { return kPlacements[static_cast<std::size_t>(v)]; }
std::string_view to_string(TensorOverlap v) { return kTensorOverlaps[static_cast<std::size_t>(v)]; }
std::optional<Schedule> parse_schedule(std::string_view text) { return parse<Schedule>(kSchedules, text); }
std::optional<Recompute> parse_recompute(std::string_view text) { return parse<Recompute>(kRecomputes, text); }
std::optional<Sharding> parse_sharding(std::string_view text) { return parse<Sharding>(kShardings, text); }

}  // namespace traincost::cost
