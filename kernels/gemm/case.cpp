#include <set>
#include <tuple>

#include <kernels/common/address.hpp>
#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/linear_layers.hpp>
#include <kernels/common/random.hpp>
#include <kernels/gemm/gemm.hpp>
#include <kernels/grouped_gemm/grouped_gemm.hpp>
#ifdef TRAINCOST_HAS_CUBLAS
#include <kernels/grouped_gemm/cublas.hpp>
#include <kernels/vendor/cublas.hpp>
#endif

namespace traincost::kernels {
namespace {

template <class Element>
constexpr bool kIsFp8 = std::is_same_v<Element, std::uint8_t>;

struct GemmProblem {
  std::string label;
  gemm::Shape gemm;
  bool is_fp8 = false;

  [[nodiscard]] Shape shape() const {
    const work::Op op = work::Gemm{double(gemm.m), double(gemm.n), double(gemm.k)};
    const auto dtype = is_fp8 ? work::Dtype::fp8 : work::Dtype::bf16;
    return {label, work::flops(op), work::bytes(op, dtype), dtype, op};
  }
};

/// Each shape once, under the first model that has it.
std::vector<GemmProblem> problems(bool is_fp8) {
  if (are_sizes_tiny()) return {{"tiny m=16", {16, 32, 64}, is_fp8}, {"tiny m=80", {80, 48, 96}, is_fp8}};
  std::set<std::tuple<int, int, int>> seen;
  std::vector<GemmProblem> all;
  for (const auto& model : catalog::models())
    for (const auto& layer : linear_layers(model))
      for (const int m : {64, 1024, 8192})
        if (layer.n % 16 == 0 && layer.k % 16 == 0 && seen.insert({m, layer.n, layer.k}).second)
          all.push_back({model.id + " " + layer.name + " m=" + std::to_string(m), {m, layer.n, layer.k}, is_fp8});
  return all;
}

std::vector<__nv_bfloat16> random_elements(std::size_t count, std::uint64_t seed, __nv_bfloat16 /*of this type*/) {
  return random_bf16(count, -1, 1, seed);
}
std::vector<std::uint8_t> random_elements(std::size_t count, std::uint64_t seed, std::uint8_t /*of this type*/) {
  return random_codes(count, seed);
}

template <class Element>
class Operands {
 public:
  explicit Operands(const GemmProblem& p)
      : shape(p.gemm),
        host_input(random_elements(static_cast<std::size_t>(shape.m) * shape.k, 1, Element{})),
        host_weight(random_elements(static_cast<std::size_t>(shape.n) * shape.k, 2, Element{})),
        input(host_input),
        weight(host_weight),
        output(static_cast<std::size_t>(shape.m) * shape.n) {}

  /// Elements drawn at random, and the four corners.
  [[nodiscard]] Deviation deviation() const {
    constexpr int kElements = 512;
    const gemm::Params<Element> host{shape, host_input.data(), host_weight.data(), nullptr, scale};
    const auto all = output.to_host();
    Random random(3);
    std::vector<float> got, want;
    for (int i = 0; i < kElements; ++i) {
      const int row = i < 4 ? (i & 1) * (shape.m - 1) : random.below(shape.m);
      const int column = i < 4 ? (i >> 1) * (shape.n - 1) : random.below(shape.n);
      got.push_back(__bfloat162float(all[static_cast<std::size_t>(row_offset(row, shape.n)) + column]));
      want.push_back(static_cast<float>(gemm::reference(host, row, column)));
    }
    return kernels::deviation(got, want);
  }

  gemm::Shape shape;
  std::vector<Element> host_input, host_weight;
  DeviceBuffer<Element> input, weight;
  DeviceBuffer<__nv_bfloat16> output;
  float scale = kIsFp8<Element> ? 0x1p-8F : 1;  // codes reach 448
};

using Bf16Operands = Operands<__nv_bfloat16>;

/// The grouped kernel with a single expert.
class Ours : public Bf16Operands {
 public:
  explicit Ours(const GemmProblem& p)
      : Bf16Operands(p), first_(std::vector<int>{0}), count_(std::vector<int>{p.gemm.m}) {}
  [[nodiscard]] grouped_gemm::ForwardParams params() const {
    return {.shape = {.num_experts = 1, .n = shape.n, .k = shape.k, .max_rows = shape.m},
            .first_row = first_.data(),
            .counts = count_.data(),
            .input = input.data(),
            .weight = weight.data(),
            .output = output.data()};
  }
  void launch(cudaStream_t stream) const { grouped_gemm::launch(params(), stream); }

 private:
  DeviceBuffer<int> first_, count_;
};

#ifdef TRAINCOST_HAS_CUBLAS
class Cublas : public Ours {
 public:
  explicit Cublas(const GemmProblem& p) : Ours(p), loop_({0}, {p.gemm.m}) {}
  void launch(cudaStream_t stream) const { loop_.launch(params(), stream); }

 private:
  grouped_gemm::CublasLoop loop_;
};

template <class Element>
class CublasLt : public Operands<Element> {
 public:
  explicit CublasLt(const GemmProblem& p) : Operands<Element>(p), gemm_(p.gemm, p.is_fp8) {}
  void launch(cudaStream_t stream) const {
    gemm_.launch(this->input.data(), this->weight.data(), this->output.data(), this->scale, stream);
  }

 private:
  gemm::CublasLtGemm gemm_;
};
#endif

constexpr int kHasFp8 = 89;  // compute capability
// One step of bf16 where fp32 sums in another order may fall on the other side of a tie.
constexpr Tolerance kTolerance{.absolute = 1e-3, .relative = 0x1p-7, .cosine = 1e-5};
// Hopper's fp8 products are summed with about 14 bits (arXiv 2412.19437, section 3.5.2): DeepGEMM's test allows as
// much.
constexpr Tolerance kFp8Tolerance{.absolute = 1e-3, .relative = 0.02, .cosine = 1e-3};

Case make_bf16() {
  const auto all = problems(false);
  Case c = case_of<Ours>("gemm", all, kTolerance);
#ifdef TRAINCOST_HAS_CUBLAS
  c.providers.push_back(library_provider<Cublas>("cublas", 80, all, vendor::why_no_cublas));
  c.providers.push_back(library_provider<CublasLt<__nv_bfloat16>>("cublaslt", 80, all, vendor::why_no_cublas));
#else
  c.providers.push_back(missing_provider("cublas", "this build has no cuBLAS"));
  c.providers.push_back(missing_provider("cublaslt", "this build has no cuBLAS"));
#endif
  return c;
}

Case make_fp8() {
  const auto all = problems(true);
  Case c{.name = "gemm_fp8_tensor", .shapes = shapes_of(all), .providers = {}, .tolerance = kFp8Tolerance};
#ifdef TRAINCOST_HAS_CUBLAS
  c.providers.push_back(library_provider<CublasLt<std::uint8_t>>("cublaslt", kHasFp8, all, vendor::why_no_cublas));
#else
  c.providers.push_back(missing_provider("cublaslt", "this build has no cuBLAS"));
#endif
  return c;
}

const bool kIsBf16Registered = register_case(make_bf16);
const bool kIsFp8Registered = register_case(make_fp8);

}  // namespace
}  // namespace traincost::kernels
