#include <algorithm>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/moe_models.hpp>
#include <kernels/common/random.hpp>
#include <kernels/norms/norms.hpp>

namespace traincost::kernels {
namespace {

struct NormProblem {
  std::string label;
  norms::Shape norm;
  double arrays = 2;  // read or written

  [[nodiscard]] Shape shape() const {
    const double elements = static_cast<double>(norm.rows) * norm.columns;
    const work::Op op = work::Stream{.bytes = 2 * arrays * elements};
    return {label, work::flops(op), work::bytes(op, work::Dtype::bf16), work::Dtype::bf16, op};
  }
};

/// The widths of the catalogue's models, each once.
std::vector<NormProblem> problems(double arrays) {
  if (are_sizes_tiny()) return {{"tiny rows=4", {4, 264}, arrays}, {"tiny rows=16", {16, 264}, arrays}};
  std::vector<NormProblem> all;
  for (const auto& model : catalog::models()) {
    const int hidden = static_cast<int>(model.hidden);
    const auto is_same = [&](const NormProblem& p) { return p.norm.columns == hidden; };
    if (hidden % 8 != 0 || std::ranges::any_of(all, is_same)) continue;
    for (const int tokens : token_counts()) all.push_back({label(model, tokens), {tokens, hidden}, arrays});
  }
  return all;
}

struct Inputs {
  explicit Inputs(const NormProblem& p)
      : shape(p.norm),
        host_x(random_bf16(elements(), -2, 2, 1)),
        host_weight(random_bf16(static_cast<std::size_t>(shape.columns), 0.5, 1.5, 2)),
        x(host_x),
        weight(host_weight),
        output(elements()) {}

  [[nodiscard]] std::size_t elements() const { return static_cast<std::size_t>(shape.rows) * shape.columns; }
  /// The first rows of an output that the reference wrote for as many.
  [[nodiscard]] norms::Shape compared() const {
    return {std::min<std::int64_t>(shape.rows, kComparedTokens), shape.columns};
  }
  [[nodiscard]] Deviation from(const std::vector<__nv_bfloat16>& want) const {
    auto got = output.to_host();
    got.resize(want.size());
    return deviation(got, want);
  }

  norms::Shape shape;
  std::vector<__nv_bfloat16> host_x, host_weight;
  DeviceBuffer<__nv_bfloat16> x, weight, output;
};

template <bool kIsLayerNorm>
class Forward : Inputs {
 public:
  explicit Forward(const NormProblem& p)
      : Inputs(p), host_bias_(random_bf16(static_cast<std::size_t>(shape.columns), -1, 1, 3)), bias_(host_bias_) {
    output.fill_bytes(0xff);
  }
  void launch(cudaStream_t stream) const {
    norms::launch(params(shape, x.data(), weight.data(), bias_.data(), output.data()), stream);
  }
  [[nodiscard]] Deviation deviation() const {
    std::vector<__nv_bfloat16> want(static_cast<std::size_t>(compared().rows) * shape.columns);
    norms::reference(params(compared(), host_x.data(), host_weight.data(), host_bias_.data(), want.data()));
    return from(want);
  }

 private:
  using Pointer = const __nv_bfloat16*;
  static norms::ForwardParams params(const norms::Shape& s, Pointer x, Pointer weight, Pointer bias, __nv_bfloat16* y) {
    return {.shape = s, .x = x, .weight = weight, .bias = kIsLayerNorm ? bias : nullptr, .y = y};
  }

  std::vector<__nv_bfloat16> host_bias_;
  DeviceBuffer<__nv_bfloat16> bias_;
};

class InputGradient : Inputs {
 public:
  explicit InputGradient(const NormProblem& p)
      : Inputs(p), host_grad_(random_bf16(elements(), -1, 1, 4)), grad_(host_grad_) {
    output.fill_bytes(0xff);
  }
  void launch(cudaStream_t stream) const {
    norms::launch(
        {.shape = shape, .x = x.data(), .weight = weight.data(), .grad_y = grad_.data(), .grad_x = output.data()},
        stream);
  }
  [[nodiscard]] Deviation deviation() const {
    std::vector<__nv_bfloat16> want(static_cast<std::size_t>(compared().rows) * shape.columns);
    norms::reference(norms::InputGradientParams{.shape = compared(),
                                                .x = host_x.data(),
                                                .weight = host_weight.data(),
                                                .grad_y = host_grad_.data(),
                                                .grad_x = want.data()});
    return from(want);
  }

 private:
  std::vector<__nv_bfloat16> host_grad_;
  DeviceBuffer<__nv_bfloat16> grad_;
};

template <class State>
Case make(const std::string& name, double arrays) {
  // One step of bf16 where fp32 sums in another order may fall on the other side of a tie.
  return case_of<State>(name, problems(arrays), {.absolute = 1e-3, .relative = 0x1p-7, .cosine = 1e-5});
}

const bool kIsRmsRegistered = register_case([] { return make<Forward<false>>("rms_norm", 2); });
const bool kIsLayerRegistered = register_case([] { return make<Forward<true>>("layer_norm", 2); });
const bool kIsGradientRegistered = register_case([] { return make<InputGradient>("rms_norm_input_gradient", 3); });

}  // namespace
}  // namespace traincost::kernels
