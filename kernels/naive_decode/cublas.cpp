#include <kernels/naive_decode/cublas.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/vendor/cublas.hpp>

namespace traincost::kernels::naive_decode {
namespace {

using vendor::check;
using vendor::cublas;

/// base + offset(sequence, head of the cache) for each product of the batch, on the device.
template <class T, class Offset>
DeviceBuffer<std::uintptr_t> addresses(const Problem& p, T* base, Offset offset) {
  std::vector<std::uintptr_t> all;
  for (int b = 0; b < p.b; ++b)
    for (int h = 0; h < p.h_kv; ++h) all.push_back(reinterpret_cast<std::uintptr_t>(base + offset(b, h)));
  return DeviceBuffer<std::uintptr_t>(all);
}

/// A row-major matrix is its transpose to cuBLAS, so each product is asked for as that of the transposes.
struct Product {
  cublasOperation_t left_op;
  int m, k;  // n: the query heads of a head of the cache
  const DeviceBuffer<std::uintptr_t>& left;
  int left_stride;
  const DeviceBuffer<std::uintptr_t>& right;
  int right_stride;
  const DeviceBuffer<std::uintptr_t>& output;
  cudaDataType_t output_type;
};

}  // namespace

struct CublasComposition::State {
  explicit State(const Problem& problem)
      : p(problem),
        group(p.s_q * (p.h_q / p.h_kv)),
        scores(row_count() * static_cast<std::size_t>(p.s_kv)),
        probabilities(scores.size()),
        q_of(addresses(p, p.q, [&](int b, int h) { return query(b, h) * p.d_qk; })),
        k_of(addresses(p, p.k, [&](int b, int h) { return cached(b, h); })),
        v_of(addresses(p, p.v, [&](int b, int h) { return cached(b, h); })),
        scores_of(addresses(p, scores.data(), [&](int b, int h) { return query(b, h) * p.s_kv; })),
        probabilities_of(addresses(p, probabilities.data(), [&](int b, int h) { return query(b, h) * p.s_kv; })),
        out_of(addresses(p, p.out, [&](int b, int h) { return query(b, h) * p.d_v; })) {
    validate(p);
    check(cublas().create(&handle), "cublasCreate");
  }
  ~State() { cublas().destroy(handle); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] std::size_t row_count() const { return static_cast<std::size_t>(p.b) * p.s_q * p.h_q; }
  [[nodiscard]] std::int64_t query(int b, int h) const {
    return row_offset(row_offset(b, p.s_q), p.h_q) + row_offset(h, p.h_q / p.h_kv);
  }
  [[nodiscard]] std::int64_t cached(int b, int h) const {
    return row_offset(row_offset(row_offset(b, p.s_kv), p.h_kv) + h, p.row);
  }

  void multiply(const Product& x) const {
    const float alpha = 1;
    const float beta = 0;
    check(cublas().gemm_batched_ex(handle, x.left_op, CUBLAS_OP_N, x.m, group, x.k, &alpha,
                                   reinterpret_cast<const void* const*>(x.left.data()), CUDA_R_16BF, x.left_stride,
                                   reinterpret_cast<const void* const*>(x.right.data()), CUDA_R_16BF, x.right_stride,
                                   &beta, reinterpret_cast<void* const*>(x.output.data()), x.output_type, x.m,
                                   p.b * p.h_kv, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "cublasGemmBatchedEx");
  }

  Problem p;
  int group;
  DeviceBuffer<float> scores;
  DeviceBuffer<__nv_bfloat16> probabilities;
  DeviceBuffer<std::uintptr_t> q_of, k_of, v_of, scores_of, probabilities_of, out_of;
  cublasHandle_t handle = nullptr;
};

CublasComposition::CublasComposition(const Problem& problem) : state_(std::make_unique<State>(problem)) {}
CublasComposition::~CublasComposition() = default;
CublasComposition::CublasComposition(CublasComposition&&) noexcept = default;
CublasComposition& CublasComposition::operator=(CublasComposition&&) noexcept = default;

void CublasComposition::launch(cudaStream_t stream) const {
  const State& s = *state_;
  const Problem& p = s.p;
  const int token_stride = p.h_kv * p.row;
  check(cublas().set_stream(s.handle, stream), "cublasSetStream");
  s.multiply({CUBLAS_OP_T, p.s_kv, p.d_qk, s.k_of, token_stride, s.q_of, p.d_qk, s.scores_of, CUDA_R_32F});
  naive_decode::launch({.b = p.b,
                        .s_q = p.s_q,
                        .h_q = p.h_q,
                        .s_kv = p.s_kv,
                        .sm_scale = p.sm_scale,
                        .scores = s.scores.data(),
                        .probabilities = s.probabilities.data(),
                        .lse = p.lse},
                       stream);
  s.multiply({CUBLAS_OP_N, p.d_v, p.s_kv, s.v_of, token_stride, s.probabilities_of, p.s_kv, s.out_of, CUDA_R_16BF});
}

}  // namespace traincost::kernels::naive_decode
