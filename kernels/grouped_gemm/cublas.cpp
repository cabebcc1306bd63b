#include <kernels/grouped_gemm/cublas.hpp>

#include <utility>

#include <kernels/common/address.hpp>
#include <kernels/vendor/cublas.hpp>

namespace traincost::kernels::grouped_gemm {
namespace {

using vendor::check;
using vendor::cublas;

/// A row-major matrix is its transpose to cuBLAS, so c = a b is asked for as c^T = b^T a^T: `left` is b, `right` is a.
struct Product {
  cublasOperation_t left_op, right_op;
  int m, n, k;
  const __nv_bfloat16 *left, *right;
  int left_stride, right_stride;
  void* output;
  cudaDataType_t output_type;
  float beta;
};

void multiply(cublasHandle_t handle, const Product& p) {
  const float alpha = 1;
  check(cublas().gemm_ex(handle, p.left_op, p.right_op, p.m, p.n, p.k, &alpha, p.left, CUDA_R_16BF, p.left_stride,
                         p.right, CUDA_R_16BF, p.right_stride, &p.beta, p.output, p.output_type, p.m,
                         CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

}  // namespace

struct CublasLoop::Handle {
  Handle() { check(cublas().create(&value), "cublasCreate"); }
  ~Handle() { cublas().destroy(value); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  cublasHandle_t value = nullptr;
};

CublasLoop::CublasLoop(std::vector<int> first_row, std::vector<int> counts)
    : handle_(std::make_unique<Handle>()), first_row_(std::move(first_row)), counts_(std::move(counts)) {}
CublasLoop::~CublasLoop() = default;
CublasLoop::CublasLoop(CublasLoop&&) noexcept = default;
CublasLoop& CublasLoop::operator=(CublasLoop&&) noexcept = default;

void CublasLoop::launch(const ForwardParams& p, cudaStream_t stream) const {
  const Shape& s = p.shape;
  check(cublas().set_stream(handle_->value, stream), "cublasSetStream");
  for (int e = 0; e < s.num_experts; ++e)
    if (counts_[e] != 0)
      multiply(handle_->value,
               {CUBLAS_OP_T, CUBLAS_OP_N, s.n, counts_[e], s.k, p.weight + row_offset(e, row_offset(s.n, s.k)),
                p.input + row_offset(first_row_[e], s.k), s.k, s.k, p.output + row_offset(first_row_[e], s.n),
                CUDA_R_16BF, 0});
}

void CublasLoop::launch(const InputGradientParams& p, cudaStream_t stream) const {
  const Shape& s = p.shape;
  check(cublas().set_stream(handle_->value, stream), "cublasSetStream");
  for (int e = 0; e < s.num_experts; ++e)
    if (counts_[e] != 0)
      multiply(handle_->value,
               {CUBLAS_OP_N, CUBLAS_OP_N, s.k, counts_[e], s.n, p.weight + row_offset(e, row_offset(s.n, s.k)),
                p.grad_output + row_offset(first_row_[e], s.n), s.k, s.n, p.grad_input + row_offset(first_row_[e], s.k),
                CUDA_R_16BF, 0});
}

void CublasLoop::launch(const WeightGradientParams& p, cudaStream_t stream) const {
  const Shape& s = p.shape;
  check(cublas().set_stream(handle_->value, stream), "cublasSetStream");
  for (int e = 0; e < s.num_experts; ++e)  // without rows, too: cuBLAS then writes beta times the output
    multiply(handle_->value,
             {CUBLAS_OP_N, CUBLAS_OP_T, s.k, s.n, counts_[e], p.input + row_offset(first_row_[e], s.k),
              p.grad_output + row_offset(first_row_[e], s.n), s.k, s.n,
              p.grad_weight + row_offset(e, row_offset(s.n, s.k)), CUDA_R_32F, p.is_accumulated ? 1.0F : 0.0F});
}

}  // namespace traincost::kernels::grouped_gemm
