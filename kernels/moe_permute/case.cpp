#include <algorithm>
#include <cstring>

#include <traincost/work/moe.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/moe_rows.hpp>
#include <kernels/moe_permute/moe_permute.hpp>

namespace traincost::kernels {
namespace {

work::MoePermute op_of(const RowsProblem& p, work::Dtype dtype) {
  return {.tokens = static_cast<double>(p.tokens),
          .hidden = static_cast<double>(p.hidden),
          .topk = static_cast<double>(p.topk),
          .dtype = dtype};
}

struct PermuteProblem : RowsProblem {
  [[nodiscard]] Shape shape() const {
    const work::MoePermute op = op_of(*this, is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16);
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

struct QuantizeProblem : RowsProblem {
  [[nodiscard]] Shape shape() const {
    const work::MoePermute op = op_of(*this, work::Dtype::fp8_block);
    const units::Bytes as_bf16{op.tokens * op.hidden * bytes_per_element(work::Dtype::bf16)};
    const units::Bytes as_fp8{op.tokens * op.hidden * bytes_per_element(work::Dtype::fp8_block)};
    return {label, work::flops(op), work::bytes(op) - as_fp8 + as_bf16, op.dtype};  // read as bf16, written as fp8
  }
};

class PermuteQuantize {
 public:
  explicit PermuteQuantize(const QuantizeProblem& problem)
      : problem_(problem),
        host_rows_(random_rows(problem)),
        host_input_(random_bf16(static_cast<std::size_t>(problem.tokens) * problem.hidden, -4, 4, 1)),
        rows_(host_rows_),
        input_(host_input_),
        output_(host_rows_.size() * static_cast<std::size_t>(problem.hidden)),
        scales_(host_rows_.size() * blocks()) {}

  void launch(cudaStream_t stream) const {
    moe_permute::launch(params(problem_.tokens, rows_.data(), input_.data(), output_.data(), scales_.data()), stream);
  }

  /// Rows of the compared tokens: codes and scales must agree to the bit.
  [[nodiscard]] Deviation deviation() const {
    const int tokens = std::min(problem_.tokens, kComparedTokens);
    auto codes = output_.to_host();
    auto scales = scales_.to_host();
    const auto got_codes = codes;
    const auto got_scales = scales;
    const auto hidden = static_cast<std::size_t>(problem_.hidden);
    for (int slot = 0; slot < tokens * problem_.topk; ++slot)  // what the reference does not write anew is wrong
      std::fill_n(codes.begin() + static_cast<std::ptrdiff_t>(host_rows_[slot] * hidden), hidden, std::uint8_t{0x7f});
    moe_permute::reference(params(tokens, host_rows_.data(), host_input_.data(), codes.data(), scales.data()));
    return {.is_exact = got_codes == codes && got_scales == scales};
  }

 private:
  [[nodiscard]] std::size_t blocks() const { return (static_cast<std::size_t>(problem_.hidden) + 127) / 128; }
  [[nodiscard]] moe_permute::QuantizeParams params(std::int64_t tokens, const int* rows, const __nv_bfloat16* input,
                                                   std::uint8_t* output, float* scales) const {
    return {.tokens = tokens,
            .topk = problem_.topk,
            .hidden = problem_.hidden,
            .scale_stride = static_cast<std::int64_t>(host_rows_.size()),
            .row_of_slot = rows,
            .input = input,
            .output = output,
            .scales = scales};
  }

  QuantizeProblem problem_;
  std::vector<int> host_rows_;
  std::vector<__nv_bfloat16> host_input_;
  DeviceBuffer<int> rows_;
  DeviceBuffer<__nv_bfloat16> input_;
  DeviceBuffer<std::uint8_t> output_;
  DeviceBuffer<float> scales_;
};

const bool kIsRegistered =
    register_case([] { return case_of<Permute>("moe_permute", rows_problems<PermuteProblem>(true)); });
const bool kIsQuantizeRegistered = register_case(
    [] { return case_of<PermuteQuantize>("moe_permute_quantize", rows_problems<QuantizeProblem>(false)); });

}  // namespace
}  // namespace traincost::kernels
