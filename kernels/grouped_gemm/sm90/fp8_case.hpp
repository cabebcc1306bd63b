#pragma once

#include <string>
#include <utility>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/random.hpp>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>

/// What the cases of fp8 products share, with experts or with one matrix.
namespace traincost::kernels {

struct Fp8Problem {
  std::string label;
  int num_experts = 1, rows_per_expert = 0, n = 0, k = 0;

  [[nodiscard]] Shape shape() const {
    const double rows = static_cast<double>(num_experts) * rows_per_expert;
    const double weights = static_cast<double>(num_experts) * n * k;
    constexpr double kBlock = grouped_gemm::sm90::kScaleBlock;
    return {label, units::Flops{2 * rows * n * k},
            units::Bytes{rows * k + weights + 2 * rows * n + 4 * (rows * k / kBlock + weights / kBlock / kBlock)},
            work::Dtype::fp8_block};
  }
};

class OursFp8 {
 public:
  explicit OursFp8(const Fp8Problem& p)
      : problem_(p),
        rows_(static_cast<std::int64_t>(p.num_experts) * p.rows_per_expert),
        blocks_(ceil_div(p.k, grouped_gemm::sm90::kScaleBlock)),
        host_input_(random_codes(static_cast<std::size_t>(row_offset(rows_, p.k)), 1)),
        host_weight_(random_codes(static_cast<std::size_t>(row_offset(row_offset(p.num_experts, p.n), p.k)), 2)),
        host_input_scales_(scales(blocks_ * stride(), 3)),
        host_weight_scales_(scales(p.num_experts * ceil_div(p.n, grouped_gemm::sm90::kScaleBlock) * blocks_, 4)),
        input_(host_input_),
        weight_(host_weight_),
        input_scales_(host_input_scales_),
        weight_scales_(host_weight_scales_),
        output_(static_cast<std::size_t>(row_offset(rows_, p.n))) {}

  void launch(cudaStream_t stream) const {
    auto p = params(rows_);
    p.input = input_.data();
    p.input_scales = input_scales_.data();
    p.weight = weight_.data();
    p.weight_scales = weight_scales_.data();
    p.output = output_.data();
    grouped_gemm::sm90::launch(p, stream);
  }

  /// The first row of each expert: one CPU thread computes the reference.
  [[nodiscard]] Deviation deviation() const {
    const std::vector<int> one_each(static_cast<std::size_t>(problem_.num_experts), 1);
    const auto all = output_.to_host();
    auto reference_output = all;
    auto p = params(rows_);
    p.counts = one_each.data();
    p.input = host_input_.data();
    p.input_scales = host_input_scales_.data();
    p.weight = host_weight_.data();
    p.weight_scales = host_weight_scales_.data();
    p.output = reference_output.data();
    grouped_gemm::sm90::reference(p);
    std::vector<__nv_bfloat16> got, want;
    for (int e = 0; e < problem_.num_experts; ++e) {
      const auto begin = row_offset(row_offset(e, problem_.rows_per_expert), problem_.n);
      got.insert(got.end(), all.begin() + begin, all.begin() + begin + problem_.n);
      want.insert(want.end(), reference_output.begin() + begin, reference_output.begin() + begin + problem_.n);
    }
    return kernels::deviation(got, want);
  }

 private:
  [[nodiscard]] std::int64_t stride() const { return ceil_div(rows_, 4) * 4; }
  static std::vector<float> scales(std::int64_t count, std::uint64_t seed) {
    return random_floats(static_cast<std::size_t>(count), 1e-3F, 2e-3F, seed);
  }
  /// Every expert has rows_per_expert rows, one behind the other.
  [[nodiscard]] grouped_gemm::sm90::Fp8Params params(std::int64_t rows) const {
    return {.shape = {problem_.num_experts, problem_.n, problem_.k, rows}, .rows = rows, .scale_stride = stride()};
  }

  Fp8Problem problem_;
  std::int64_t rows_, blocks_;
  std::vector<std::uint8_t> host_input_, host_weight_;
  std::vector<float> host_input_scales_, host_weight_scales_;
  DeviceBuffer<std::uint8_t> input_, weight_;
  DeviceBuffer<float> input_scales_, weight_scales_;
  DeviceBuffer<__nv_bfloat16> output_;
};

inline Case fp8_case(std::string name, const std::vector<Fp8Problem>& problems) {
  // One step of bf16 (2^-7) and one for what the tensor core's shorter sums of 128 products lose: about 14 bits are
  // kept (DeepSeek-V3, arXiv 2412.19437, section 3.5.2).
  return {.name = std::move(name),
          .shapes = shapes_of(problems),
          .providers = {sm90_provider<OursFp8>("traincost", problems)},
          .tolerance = {.absolute = 1e-3, .relative = 0x1p-6, .cosine = 1e-4}};
}

}  // namespace traincost::kernels
