#include <kernels/common/device_buffer.hpp>
#include <kernels/gemm/gemm.hpp>
#include <kernels/vendor/cublas.hpp>

namespace traincost::kernels::gemm {
namespace {
using vendor::check;
using vendor::cublas_lt;

constexpr std::size_t kWorkspaceBytes = 32 << 20;  // what NVIDIA's documentation advises for Hopper

/// Owned by one of cuBLASLt's pairs of create and destroy.
template <class Handle>
class Owned {
 public:
  Owned(Handle value, cublasStatus_t (*destroy)(Handle)) : value_(value), destroy_(destroy) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { destroy_(value_); }
  [[nodiscard]] Handle get() const { return value_; }

 private:
  Handle value_;
  cublasStatus_t (*destroy_)(Handle);
};

cublasLtHandle_t make_handle() {
  cublasLtHandle_t handle = nullptr;
  check(cublas_lt().create(&handle), "cublasLtCreate");
  return handle;
}
cublasLtMatmulDesc_t make_desc() {
  cublasLtMatmulDesc_t desc = nullptr;
  check(cublas_lt().desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  const cublasOperation_t transposed = CUBLAS_OP_T;
  check(cublas_lt().desc_set(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)),
        "CUBLASLT_MATMUL_DESC_TRANSA");
  return desc;
}
cublasLtMatrixLayout_t make_layout(cudaDataType_t type, int rows, int columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublas_lt().layout_create(&layout, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                  rows),
        "cublasLtMatrixLayoutCreate");
  return layout;
}
cublasLtMatmulPreference_t make_preference() {
  cublasLtMatmulPreference_t preference = nullptr;
  check(cublas_lt().preference_create(&preference), "cublasLtMatmulPreferenceCreate");
  check(cublas_lt().preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes,
                                   sizeof(kWorkspaceBytes)),
        "CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES");
  return preference;
}

}  // namespace

/// To cuBLASLt, which counts down the columns, the row-major output is its transpose: weight^T (transposed) times
/// input^T.
struct CublasLtGemm::Plan {
  Plan(const Shape& s, bool is_fp8)
      : handle(make_handle(), cublas_lt().destroy),
        desc(make_desc(), cublas_lt().desc_destroy),
        weight(make_layout(is_fp8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF, s.k, s.n), cublas_lt().layout_destroy),
        input(make_layout(is_fp8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF, s.k, s.m), cublas_lt().layout_destroy),
        output(make_layout(CUDA_R_16BF, s.n, s.m), cublas_lt().layout_destroy),
        workspace(kWorkspaceBytes) {
    const Owned preference(make_preference(), cublas_lt().preference_destroy);
    int found = 0;
    check(cublas_lt().heuristic(handle.get(), desc.get(), weight.get(), input.get(), output.get(), output.get(),
                                preference.get(), 1, &algorithm, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0) throw CudaError("cublasLt: no algorithm for this product");
  }

  Owned<cublasLtHandle_t> handle;
  Owned<cublasLtMatmulDesc_t> desc;
  Owned<cublasLtMatrixLayout_t> weight, input, output;
  cublasLtMatmulHeuristicResult_t algorithm{};
  DeviceBuffer<char> workspace;
};

CublasLtGemm::CublasLtGemm(const Shape& shape, bool is_fp8) {
  validate(shape);
  plan_ = std::make_unique<Plan>(shape, is_fp8);
}
CublasLtGemm::~CublasLtGemm() = default;

void CublasLtGemm::launch(const void* input, const void* weight, __nv_bfloat16* output, float scale,
                          cudaStream_t stream) const {
  const Plan& p = *plan_;
  const float beta = 0;
  check(cublas_lt().matmul(p.handle.get(), p.desc.get(), &scale, weight, p.weight.get(), input, p.input.get(), &beta,
                           output, p.output.get(), output, p.output.get(), &p.algorithm.algo, p.workspace.data(),
                           p.workspace.bytes(), stream),
        "cublasLtMatmul");
}

}  // namespace traincost::kernels::gemm
