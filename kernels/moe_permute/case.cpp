#include <algorithm>
#include <cstring>

#include <traincost/work/moe.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/moe_rows.hpp>
#include <kernels/moe_permute/moe_permute.hpp>

namespace traincost::kernels {
namespace {

struct PermuteProblem : RowsProblem {
  [[nodiscard]] Shape shape() const {
    const work::MoePermute op{.tokens = static_cast<double>(tokens),
                              .hidden = static_cast<double>(hidden),
                              .topk = static_cast<double>(topk),
                              .dtype = is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16};
    return {label, work::flops(op), work::bytes(op), op.dtype};
  }
};

class Permute {
 public:
  explicit Permute(const PermuteProblem& problem)
      : problem_(problem),
        host_rows_(random_rows(problem)),
        host_input_(problem, static_cast<std::size_t>(problem.tokens), 1),
        rows_(host_rows_),
        input_(host_input_),
        output_(host_rows_.size() * row_bytes()),
        output_scales_(host_rows_.size() * scales_per_row(problem)) {}

  void launch(cudaStream_t stream) const {
    moe_permute::launch({.tokens = problem_.tokens,
                         .topk = problem_.topk,
                         .row_bytes = static_cast<int>(row_bytes()),
                         .words_per_row = static_cast<int>(scales_per_row(problem_)),
                         .row_of_slot = rows_.data(),
                         .input = input_.data(),
                         .input_scales = input_.scale_data(),
                         .output = output_.data(),
                         .output_scales = output_scales_.data()},
                        stream);
  }

  /// A copy: every row of the compared tokens must have their bytes.
  [[nodiscard]] Deviation deviation() const {
    const auto output = output_.to_host();
    const auto scales = output_scales_.to_host();
    const std::size_t words = scales_per_row(problem_);
    const auto* input = static_cast<const char*>(host_input_.data());
    bool is_exact = true;
    for (int slot = 0; slot < std::min(problem_.tokens, kComparedTokens) * problem_.topk; ++slot) {
      const std::size_t token = slot / problem_.topk;
      const std::size_t row = host_rows_[slot];
      is_exact &= std::memcmp(&output[row * row_bytes()], input + token * row_bytes(), row_bytes()) == 0;
      is_exact &= std::equal(scales.data() + row * words, scales.data() + (row + 1) * words,
                             host_input_.scales.data() + token * words);
    }
    return {.is_exact = is_exact};
  }

 private:
  [[nodiscard]] std::size_t row_bytes() const {
    return static_cast<std::size_t>(problem_.hidden) * (problem_.is_fp8 ? 1 : 2);
  }

  PermuteProblem problem_;
  std::vector<int> host_rows_;
  HostRows host_input_;
  DeviceBuffer<int> rows_;
  DeviceRows input_;
  DeviceBuffer<char> output_;
  DeviceBuffer<float> output_scales_;
};

Case make_permute() {
  std::vector<PermuteProblem> all;
  for (const auto& problem : rows_problems(true)) all.push_back({problem});
  return {.name = "moe_permute",
          .shapes = shapes_of(all),
          .providers = {provider<Permute>("traincost", 80, all)},
          .tolerance = {}};
}

const bool kIsRegistered = register_case(make_permute);

}  // namespace
}  // namespace traincost::kernels
