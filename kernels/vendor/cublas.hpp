#pragma once

#include <cublasLt.h>
#include <cublas_v2.h>

#include <string>

/// cuBLAS and cuBLASLt by dlopen; only their headers are needed to build.
namespace traincost::kernels::vendor {

struct Cublas {
  decltype(cublasCreate_v2)* create;
  decltype(cublasDestroy_v2)* destroy;
  decltype(cublasSetStream_v2)* set_stream;
  // Overloaded in C++, so that decltype cannot name it.
  cublasStatus_t (*gemm_ex)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                            const void* alpha, const void* a, cudaDataType, int a_stride, const void* b, cudaDataType,
                            int b_stride, const void* beta, void* c, cudaDataType, int c_stride, cublasComputeType_t,
                            cublasGemmAlgo_t);
  cublasStatus_t (*gemm_batched_ex)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                    const void* alpha, const void* const a[], cudaDataType, int a_stride,
                                    const void* const b[], cudaDataType, int b_stride, const void* beta,
                                    void* const c[], cudaDataType, int c_stride, int count, cublasComputeType_t,
                                    cublasGemmAlgo_t);
};
struct CublasLt {
  decltype(cublasLtCreate)* create;
  decltype(cublasLtDestroy)* destroy;
  decltype(cublasLtMatmulDescCreate)* desc_create;
  decltype(cublasLtMatmulDescDestroy)* desc_destroy;
  decltype(cublasLtMatmulDescSetAttribute)* desc_set;
  decltype(cublasLtMatrixLayoutCreate)* layout_create;
  decltype(cublasLtMatrixLayoutDestroy)* layout_destroy;
  decltype(cublasLtMatmulPreferenceCreate)* preference_create;
  decltype(cublasLtMatmulPreferenceDestroy)* preference_destroy;
  decltype(cublasLtMatmulPreferenceSetAttribute)* preference_set;
  decltype(cublasLtMatmulAlgoGetHeuristic)* heuristic;
  decltype(cublasLtMatmul)* matmul;
};

const Cublas& cublas();       // throws without the library
const CublasLt& cublas_lt();  // throws without the library
std::string why_no_cublas();  // "" when both are there

void check(cublasStatus_t status, const char* what);

}  // namespace traincost::kernels::vendor
