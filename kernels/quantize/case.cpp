#include <traincost/work/op.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/moe_models.hpp>
#include <kernels/common/random.hpp>
#include <kernels/quantize/quantize.hpp>

namespace traincost::kernels {
namespace {

struct QuantizeProblem {
  std::string label;
  int rows = 0, columns = 0, rows_per_scale = 1;

  [[nodiscard]] Shape shape() const {
    const work::Op op = work::Quantize{static_cast<double>(rows), static_cast<double>(columns)};
    return {label, work::flops(op), work::bytes(op, work::Dtype::fp8_block), work::Dtype::fp8_block,
            rows_per_scale == 1 ? std::optional(op) : std::nullopt};
  }
};

/// Activations: tokens by the hidden width. Weights: the two matrices of an expert.
std::vector<QuantizeProblem> problems(int rows_per_scale) {
  std::vector<QuantizeProblem> all;
  for (const auto& model : moe_models()) {
    const int hidden = static_cast<int>(model.hidden);
    const int width = static_cast<int>(model.expert_ffn);
    if (rows_per_scale == 1)
      for (const int tokens : token_counts()) all.push_back({label(model, tokens), tokens, hidden, 1});
    else
      all.insert(all.end(), {{model.id + " up and gate", 2 * width, hidden, rows_per_scale},
                             {model.id + " down", hidden, width, rows_per_scale}});
  }
  return all;
}

class Quantize {
 public:
  explicit Quantize(const QuantizeProblem& problem)
      : problem_(problem),
        host_input_(random_bf16(static_cast<std::size_t>(problem.rows) * problem.columns, -4, 4, 1)),
        input_(host_input_),
        output_(host_input_.size()),
        scales_(scale_count(problem.rows)) {}

  void launch(cudaStream_t stream) const {
    quantize::launch(params(problem_.rows, input_.data(), output_.data(), scales_.data()), stream);
  }

  /// The first rows; codes and scales must agree to the bit.
  [[nodiscard]] Deviation deviation() const {
    const int rows = std::min(problem_.rows, 2 * quantize::kScaleBlock);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows) * problem_.columns);
    std::vector<float> scales(scale_count(rows));
    quantize::reference(params(rows, host_input_.data(), codes.data(), scales.data()));
    auto got_codes = output_.to_host();
    auto got_scales = scales_.to_host();
    got_codes.resize(codes.size());
    got_scales.resize(scales.size());
    return {.is_exact = got_codes == codes && got_scales == scales};
  }

 private:
  [[nodiscard]] std::size_t scale_count(int rows) const {
    const int block_rows = (rows + problem_.rows_per_scale - 1) / problem_.rows_per_scale;
    return static_cast<std::size_t>(block_rows) * ((problem_.columns + 127) / 128);
  }
  [[nodiscard]] quantize::Params params(int rows, const __nv_bfloat16* input, std::uint8_t* output,
                                        float* scales) const {
    return {.rows = rows,
            .columns = problem_.columns,
            .rows_per_scale = problem_.rows_per_scale,
            .input = input,
            .output = output,
            .scales = scales};
  }

  QuantizeProblem problem_;
  std::vector<__nv_bfloat16> host_input_;
  DeviceBuffer<__nv_bfloat16> input_;
  DeviceBuffer<std::uint8_t> output_;
  DeviceBuffer<float> scales_;
};

const bool kIsRowsRegistered = register_case([] { return case_of<Quantize>("quantize_1x128", problems(1)); });
const bool kIsTilesRegistered =
    register_case([] { return case_of<Quantize>("quantize_128x128", problems(quantize::kScaleBlock)); });

}  // namespace
}  // namespace traincost::kernels
