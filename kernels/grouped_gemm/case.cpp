#include <algorithm>

#include <traincost/work/moe.hpp>

#include <kernels/common/address.hpp>
#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/moe_models.hpp>
#include <kernels/common/random.hpp>
#include <kernels/grouped_gemm/grouped_gemm.hpp>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>
#ifdef TRAINCOST_HAS_CUBLAS
#include <kernels/grouped_gemm/cublas.hpp>
#include <kernels/vendor/cublas.hpp>
#endif

namespace traincost::kernels {
namespace {

using grouped_gemm::ForwardParams;
using grouped_gemm::InputGradientParams;
using grouped_gemm::WeightGradientParams;

struct GemmProblem {
  std::string label;
  int num_experts = 0, rows_per_expert = 0, n = 0, k = 0;
  bool is_weight_gradient = false;

  [[nodiscard]] Shape shape() const {
    const double rows = static_cast<double>(num_experts) * rows_per_expert;
    const work::GroupedGemm product{rows, static_cast<double>(num_experts), static_cast<double>(n),
                                    static_cast<double>(k)};
    const work::GroupedGemmWeightGradient gradient{product.rows, product.num_experts, product.n, product.k};
    return is_weight_gradient ? Shape{label, work::flops(gradient), work::bytes(gradient)}
                              : Shape{label, work::flops(product), work::bytes(product)};
  }
};

// The experts that one GPU holds, and rows of each: few (decoding, small micro-batches) and many.
constexpr int kLocalExperts = 8;
std::vector<int> rows_per_expert() { return are_sizes_tiny() ? std::vector{8, 24} : std::vector{128, 4096}; }

std::vector<GemmProblem> problems(bool is_weight_gradient) {
  std::vector<GemmProblem> all;
  for (const auto& model : moe_models())
    for (const int rows : rows_per_expert()) {
      const int hidden = static_cast<int>(model.hidden);
      const int width = static_cast<int>(model.expert_ffn);
      const std::string size = " " + std::to_string(kLocalExperts) + "x" + std::to_string(rows);
      all.push_back({model.id + size + " up and gate", kLocalExperts, rows, 2 * width, hidden, is_weight_gradient});
      all.push_back({model.id + size + " down", kLocalExperts, rows, hidden, width, is_weight_gradient});
    }
  return all;
}

std::vector<int> first_rows(const GemmProblem& p) {
  std::vector<int> first(static_cast<std::size_t>(p.num_experts));
  for (int e = 0; e < p.num_experts; ++e) first[e] = e * p.rows_per_expert;
  return first;
}

/// Both rows and weights on host and device; the pass decides which of them it reads.
struct Inputs {
  explicit Inputs(const GemmProblem& p)
      : gemm{p.num_experts, p.n, p.k, static_cast<std::int64_t>(p.num_experts) * p.rows_per_expert},
        host_first(first_rows(p)),
        host_counts(static_cast<std::size_t>(p.num_experts), p.rows_per_expert),
        host_input(random_bf16(static_cast<std::size_t>(gemm.max_rows) * p.k, -1, 1, 1)),
        host_grad(random_bf16(static_cast<std::size_t>(gemm.max_rows) * p.n, -1, 1, 2)),
        host_weight(random_bf16(weights(), -1, 1, 3)),
        first(host_first),
        counts(host_counts),
        input(host_input),
        grad(host_grad),
        weight(host_weight) {}

  [[nodiscard]] std::size_t weights() const { return static_cast<std::size_t>(gemm.num_experts) * gemm.n * gemm.k; }

  grouped_gemm::Shape gemm;
  std::vector<int> host_first, host_counts;
  std::vector<__nv_bfloat16> host_input, host_grad, host_weight;
  DeviceBuffer<int> first, counts;
  DeviceBuffer<__nv_bfloat16> input, grad, weight;
};

/// The first row of each expert from the reference, over a copy of what came out, so that the others agree.
template <class Params>
Deviation first_rows_deviation(const Inputs& in, const DeviceBuffer<__nv_bfloat16>& output,
                               Params (*host_params)(const Inputs&, const int* counts, __nv_bfloat16*), int columns) {
  const std::vector<int> one_each(in.host_counts.size(), 1);
  const auto all = output.to_host();
  auto reference_output = all;
  grouped_gemm::reference(host_params(in, one_each.data(), reference_output.data()));
  std::vector<__nv_bfloat16> got, want;
  for (const int row : in.host_first) {
    const auto begin = row_offset(row, columns);
    got.insert(got.end(), all.begin() + begin, all.begin() + begin + columns);
    want.insert(want.end(), reference_output.begin() + begin, reference_output.begin() + begin + columns);
  }
  return deviation(got, want);
}

class Forward : public Inputs {
 public:
  using Params = ForwardParams;
  explicit Forward(const GemmProblem& p) : Inputs(p), output_(static_cast<std::size_t>(gemm.max_rows) * p.n) {}
  [[nodiscard]] Params params() const {
    return {gemm, first.data(), counts.data(), input.data(), weight.data(), output_.data()};
  }
  [[nodiscard]] Deviation deviation() const {
    return first_rows_deviation<Params>(
        *this, output_,
        [](const Inputs& in, const int* one_each, __nv_bfloat16* out) {
          return Params{in.gemm, in.host_first.data(), one_each, in.host_input.data(), in.host_weight.data(), out};
        },
        gemm.n);
  }

 private:
  DeviceBuffer<__nv_bfloat16> output_;
};

class InputGradient : public Inputs {
 public:
  using Params = InputGradientParams;
  explicit InputGradient(const GemmProblem& p) : Inputs(p), output_(static_cast<std::size_t>(gemm.max_rows) * p.k) {}
  [[nodiscard]] Params params() const {
    return {gemm, first.data(), counts.data(), grad.data(), weight.data(), output_.data()};
  }
  [[nodiscard]] Deviation deviation() const {
    return first_rows_deviation<Params>(
        *this, output_,
        [](const Inputs& in, const int* one_each, __nv_bfloat16* out) {
          return Params{in.gemm, in.host_first.data(), one_each, in.host_grad.data(), in.host_weight.data(), out};
        },
        gemm.k);
  }

 private:
  DeviceBuffer<__nv_bfloat16> output_;
};

class WeightGradient : public Inputs {
 public:
  using Params = WeightGradientParams;
  explicit WeightGradient(const GemmProblem& p) : Inputs(p), output_(weights()) {}
  [[nodiscard]] Params params() const {
    return {gemm, false, first.data(), counts.data(), grad.data(), input.data(), output_.data()};
  }

  /// Elements drawn at random: a whole row of an expert costs as much as all its rows.
  [[nodiscard]] Deviation deviation() const {
    constexpr int kElements = 512;
    const auto all = output_.to_host();
    Random random(4);
    std::vector<float> got, want;
    for (int i = 0; i < kElements; ++i) {
      const int e = random.below(gemm.num_experts);
      const int n = random.below(gemm.n);
      const int k = random.below(gemm.k);
      double sum = 0;
      for (std::int64_t row = host_first[e]; row < host_first[e] + host_counts[e]; ++row)
        sum += to_double(host_grad[row_offset(row, gemm.n) + n]) * to_double(host_input[row_offset(row, gemm.k) + k]);
      got.push_back(all[row_offset(row_offset(e, gemm.n) + n, gemm.k) + k]);
      want.push_back(static_cast<float>(sum));
    }
    return kernels::deviation(got, want);
  }

 private:
  DeviceBuffer<float> output_;
};

template <class Pass>
class Ours : public Pass {
 public:
  using Pass::Pass;
  void launch(cudaStream_t stream) const { grouped_gemm::launch(this->params(), stream); }
};

template <class Pass>
class OursSm90 : public Pass {
 public:
  using Pass::Pass;
  void launch(cudaStream_t stream) const { grouped_gemm::sm90::launch(this->params(), this->gemm.max_rows, stream); }
};

#ifdef TRAINCOST_HAS_CUBLAS
template <class Pass>
class Cublas : public Pass {
 public:
  explicit Cublas(const GemmProblem& p) : Pass(p), loop_(this->host_first, this->host_counts) {}
  void launch(cudaStream_t stream) const { loop_.launch(this->params(), stream); }

 private:
  grouped_gemm::CublasLoop loop_;
};
#endif

// One step of bf16 (2^-7) where fp32 sums in another order may fall on the other side of a tie.
constexpr Tolerance kTolerance{.absolute = 1e-3, .relative = 0x1p-7, .cosine = 1e-5};

template <class Pass>
Case make(const std::string& name, bool is_weight_gradient) {
  const auto all = problems(is_weight_gradient);
  Case c{
      .name = name,
      .shapes = shapes_of(all),
      .providers = {provider<Ours<Pass>>("traincost", 80, all), sm90_provider<OursSm90<Pass>>("traincost_sm90", all)},
      .tolerance = kTolerance};
#ifdef TRAINCOST_HAS_CUBLAS
  c.providers.push_back(library_provider<Cublas<Pass>>("cublas_loop", 80, all, vendor::why_no_cublas));
#else
  c.providers.push_back(missing_provider("cublas_loop", "this build has no cuBLAS"));
#endif
  return c;
}

const bool kIsForwardRegistered = register_case([] { return make<Forward>("grouped_gemm", false); });
const bool kIsInputRegistered = register_case([] { return make<InputGradient>("grouped_gemm_input_gradient", false); });
const bool kIsWeightRegistered =
    register_case([] { return make<WeightGradient>("grouped_gemm_weight_gradient", true); });

}  // namespace
}  // namespace traincost::kernels
