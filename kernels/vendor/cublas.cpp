#include <kernels/vendor/cublas.hpp>

#include <kernels/common/cuda_check.hpp>
#include <kernels/vendor/library.hpp>

namespace traincost::kernels::vendor {
namespace {

// The headers' own major version: an ABI is kept within one.
#define TRAINCOST_TEXT_OF(x) #x
#define TRAINCOST_TEXT(x) TRAINCOST_TEXT_OF(x)

const Library& cublas_library() {
  static const Library kLibrary{"libcublas.so." TRAINCOST_TEXT(CUBLAS_VER_MAJOR)};
  return kLibrary;
}
const Library& cublas_lt_library() {
  static const Library kLibrary{"libcublasLt.so." TRAINCOST_TEXT(CUBLAS_VER_MAJOR)};
  return kLibrary;
}
void require(const Library& library) {
  if (!library.is_there()) throw CudaError(library.why_not());
}

Cublas load_cublas() {
  const Library& library = cublas_library();
  require(library);
  Cublas f{};
  library.find(f.create, "cublasCreate_v2");
  library.find(f.destroy, "cublasDestroy_v2");
  library.find(f.set_stream, "cublasSetStream_v2");
  library.find(f.gemm_ex, "cublasGemmEx");
  library.find(f.gemm_batched_ex, "cublasGemmBatchedEx");
  return f;
}

CublasLt load_cublas_lt() {
  const Library& library = cublas_lt_library();
  require(library);
  CublasLt f{};
  library.find(f.create, "cublasLtCreate");
  library.find(f.destroy, "cublasLtDestroy");
  library.find(f.desc_create, "cublasLtMatmulDescCreate");
  library.find(f.desc_destroy, "cublasLtMatmulDescDestroy");
  library.find(f.desc_set, "cublasLtMatmulDescSetAttribute");
  library.find(f.layout_create, "cublasLtMatrixLayoutCreate");
  library.find(f.layout_destroy, "cublasLtMatrixLayoutDestroy");
  library.find(f.preference_create, "cublasLtMatmulPreferenceCreate");
  library.find(f.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  library.find(f.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  library.find(f.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  library.find(f.matmul, "cublasLtMatmul");
  return f;
}

}  // namespace

const Cublas& cublas() {
  static const Cublas kFunctions = load_cublas();
  return kFunctions;
}

const CublasLt& cublas_lt() {
  static const CublasLt kFunctions = load_cublas_lt();
  return kFunctions;
}

std::string why_no_cublas() {
  // cuBLAS needs cuBLASLt, so the latter is looked for first.
  return !cublas_lt_library().is_there() ? cublas_lt_library().why_not() : cublas_library().why_not();
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw CudaError(std::string(what) + ": cublasStatus_t " + std::to_string(static_cast<int>(status)));
}

}  // namespace traincost::kernels::vendor
