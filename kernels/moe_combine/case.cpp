#include <algorithm>

#include <traincost/work/moe.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/moe_rows.hpp>
#include <kernels/moe_combine/moe_combine.hpp>

namespace traincost::kernels {
namespace {

template <work::Pass kPass>
struct CombineProblem : RowsProblem {
  [[nodiscard]] Shape shape() const {
    const work::MoeCombine op{.tokens = static_cast<double>(tokens),
                              .hidden = static_cast<double>(hidden),
                              .topk = static_cast<double>(topk),
                              .dtype = is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16,
                              .pass = kPass};
    return {label, work::flops(op), work::bytes(op), op.dtype};
  }
};

struct Inputs {
  explicit Inputs(const RowsProblem& problem)
      : combine{problem.tokens, problem.topk, problem.hidden, problem.is_fp8},
        host_rows(random_rows(problem)),
        host_weights(random_floats(host_rows.size(), 0, 1, 2)),
        host_experts(problem, host_rows.size(), 3),
        rows(host_rows),
        weights(host_weights),
        experts(host_experts) {}

  [[nodiscard]] moe_combine::Shape compared() const {
    moe_combine::Shape s = combine;
    s.tokens = std::min<std::int64_t>(s.tokens, kComparedTokens);
    return s;
  }

  moe_combine::Shape combine;
  std::vector<int> host_rows;
  std::vector<float> host_weights;
  HostRows host_experts;
  DeviceBuffer<int> rows;
  DeviceBuffer<float> weights;
  DeviceRows experts;
};

class Forward : Inputs {
 public:
  explicit Forward(const RowsProblem& problem)
      : Inputs(problem), output_(static_cast<std::size_t>(combine.tokens) * combine.hidden) {}

  void launch(cudaStream_t stream) const {
    moe_combine::launch(moe_combine::Params{.shape = combine,
                                            .row_of_slot = rows.data(),
                                            .weights = weights.data(),
                                            .experts = experts.data(),
                                            .scales = experts.scale_data(),
                                            .output = output_.data()},
                        stream);
  }

  [[nodiscard]] Deviation deviation() const {
    std::vector<__nv_bfloat16> want(static_cast<std::size_t>(compared().tokens) * combine.hidden);
    moe_combine::reference(moe_combine::Params{.shape = compared(),
                                               .row_of_slot = host_rows.data(),
                                               .weights = host_weights.data(),
                                               .experts = host_experts.data(),
                                               .scales = host_experts.scale_data(),
                                               .output = want.data()});
    auto got = output_.to_host();
    got.resize(want.size());
    return kernels::deviation(got, want);
  }

 private:
  DeviceBuffer<__nv_bfloat16> output_;
};

class Backward : Inputs {
 public:
  explicit Backward(const RowsProblem& problem)
      : Inputs(problem),
        host_grad_(random_bf16(static_cast<std::size_t>(combine.tokens) * combine.hidden, -1, 1, 4)),
        grad_output_(host_grad_),
        grad_experts_(host_rows.size() * static_cast<std::size_t>(combine.hidden)),
        grad_weights_(host_rows.size()) {}

  void launch(cudaStream_t stream) const {
    moe_combine::launch(moe_combine::BackwardParams{.shape = combine,
                                                    .row_of_slot = rows.data(),
                                                    .weights = weights.data(),
                                                    .experts = experts.data(),
                                                    .scales = experts.scale_data(),
                                                    .grad_output = grad_output_.data(),
                                                    .grad_experts = grad_experts_.data(),
                                                    .grad_weights = grad_weights_.data()},
                        stream);
  }

  /// The reference writes the compared tokens' rows over a copy of what came out, so the others agree by themselves.
  [[nodiscard]] Deviation deviation() const {
    const auto got_experts = grad_experts_.to_host();
    auto got_weights = grad_weights_.to_host();
    auto want_experts = got_experts;
    std::vector<float> want_weights(static_cast<std::size_t>(compared().tokens) * combine.topk);
    got_weights.resize(want_weights.size());
    moe_combine::reference(moe_combine::BackwardParams{.shape = compared(),
                                                       .row_of_slot = host_rows.data(),
                                                       .weights = host_weights.data(),
                                                       .experts = host_experts.data(),
                                                       .scales = host_experts.scale_data(),
                                                       .grad_output = host_grad_.data(),
                                                       .grad_experts = want_experts.data(),
                                                       .grad_weights = want_weights.data()});
    return worse(kernels::deviation(got_experts, want_experts), kernels::deviation(got_weights, want_weights));
  }

 private:
  std::vector<__nv_bfloat16> host_grad_;
  DeviceBuffer<__nv_bfloat16> grad_output_, grad_experts_;
  DeviceBuffer<float> grad_weights_;
};

// One step of bf16 (2^-7) where a sum of fp32 may fall on the other side of a tie.
constexpr Tolerance kTolerance{.absolute = 1e-3, .relative = 0x1p-7, .cosine = 1e-5};

template <class State, work::Pass kPass>
Case make(const std::string& name) {
  return case_of<State>(name, rows_problems<CombineProblem<kPass>>(true), kTolerance);
}

const bool kIsForwardRegistered = register_case([] { return make<Forward, work::Pass::forward>("moe_combine"); });
const bool kIsBackwardRegistered =
    register_case([] { return make<Backward, work::Pass::backward>("moe_combine_backward"); });

}  // namespace
}  // namespace traincost::kernels
