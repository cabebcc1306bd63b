#include <algorithm>
#include <cmath>
#include <cstring>

#include <traincost/work/moe.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/moe_models.hpp>
#include <kernels/common/random.hpp>
#include <kernels/moe_gate/moe_gate.hpp>

namespace traincost::kernels {
namespace {

struct GateProblem {
  std::string label;
  moe_gate::Shape gate;
  float zipf = 0;  // logits fall by zipf ln(1 + expert): shares of a softmax as 1 / rank^zipf

  [[nodiscard]] Shape shape() const {
    const work::MoeGate op{static_cast<double>(gate.tokens), static_cast<double>(gate.num_experts),
                           static_cast<double>(gate.topk)};
    return {label, work::flops(op), work::bytes(op)};
  }
};

moe_gate::Shape gate_of(const catalog::Model& model, int tokens) {
  const bool is_grouped = model.num_groups > 1;
  return {.tokens = tokens,
          .num_experts = static_cast<int>(model.num_experts),
          .topk = static_cast<int>(model.topk),
          .num_groups = is_grouped ? static_cast<int>(model.num_groups) : 1,
          .topk_groups = is_grouped ? static_cast<int>(model.topk_groups) : 1,
          .scoring = is_grouped ? moe_gate::Scoring::sigmoid : moe_gate::Scoring::softmax_renormalized};
}

std::vector<GateProblem> problems() {
  std::vector<GateProblem> all;
  for (const auto& model : moe_models())
    for (const int tokens : token_counts()) {
      all.push_back({label(model, tokens), gate_of(model, tokens)});
      all.push_back({label(model, tokens) + " zipf=1", gate_of(model, tokens), 1});
    }
  return all;
}

std::vector<float> random_logits(const GateProblem& p) {
  const auto num_experts = static_cast<std::size_t>(p.gate.num_experts);
  auto logits = random_floats(static_cast<std::size_t>(p.gate.tokens) * num_experts, -4, 4, 1);
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] -= p.zipf * std::log(1 + static_cast<float>(i % num_experts));
  return logits;
}

struct Inputs {
  explicit Inputs(const GateProblem& problem)
      : gate(problem.gate), logits(random_logits(problem)), device_logits(logits) {}

  moe_gate::Shape gate;
  std::vector<float> logits;
  DeviceBuffer<float> device_logits;
};

/// The histogram grows with every launch, so it is timed here and checked by the tests.
class Gate : Inputs {
 public:
  explicit Gate(const GateProblem& problem)
      : Inputs(problem), ids_(slots()), weights_(slots()), load_(static_cast<std::size_t>(gate.num_experts)) {
    load_.fill_bytes(0);
  }

  void launch(cudaStream_t stream) const {
    moe_gate::launch(moe_gate::Params{.shape = gate,
                                      .logits = device_logits.data(),
                                      .ids = ids_.data(),
                                      .weights = weights_.data(),
                                      .load = load_.data()},
                     stream);
  }

  [[nodiscard]] Deviation deviation() const {
    std::vector<int> ids(slots());
    std::vector<float> weights(slots());
    moe_gate::reference(
        moe_gate::Params{.shape = gate, .logits = logits.data(), .ids = ids.data(), .weights = weights.data()});
    Deviation d = kernels::deviation(weights_.to_host(), weights);
    d.is_exact = ids_.to_host() == ids;
    return d;
  }

 private:
  [[nodiscard]] std::size_t slots() const { return static_cast<std::size_t>(gate.tokens * gate.topk); }

  DeviceBuffer<int> ids_;
  DeviceBuffer<float> weights_;
  DeviceBuffer<int> load_;
};

constexpr Tolerance kTolerance{.absolute = 1e-5, .relative = 1e-5, .cosine = 1e-10};
const bool kIsRegistered = register_case([] { return case_of<Gate>("moe_gate", problems(), kTolerance); });

}  // namespace
}  // namespace traincost::kernels
