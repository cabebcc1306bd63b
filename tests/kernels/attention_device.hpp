#pragma once

#include <kernels/common/address.hpp>
#include <tests/kernels/attention_problem.hpp>
#include <tests/kernels/schedules.hpp>

/// Problems on the device, for the tests of the attention kernels of any architecture.
namespace traincost::kernels::attention {

struct Results {
  Elements out, grad_q, grad_k, grad_v;
  std::vector<float> lse;
};

/// forward(tensors, outputs) and backward(tensors, outputs), each followed by finish(). Rows that no sequence owns, 3
/// behind each tensor, are NaN in the inputs.
template <class Forward, class Backward>
Results run(const Problem& p, Forward forward, Backward backward) {
  constexpr std::size_t kBehind = 3;
  const auto padded = [](Elements x, std::size_t row) {
    x.resize(x.size() + kBehind * row, __float2bfloat16(NAN));
    return x;
  };
  const auto shifted = [](std::vector<int> x, int by) {
    for (int& i : x) i += by;
    return x;
  };
  const auto row_q = static_cast<std::size_t>(p.shape.h_q), row_k = static_cast<std::size_t>(p.shape.h_kv);
  const auto d_qk = static_cast<std::size_t>(p.shape.d_qk), d_v = static_cast<std::size_t>(p.shape.d_v);
  const DeviceBuffer<__nv_bfloat16> q(padded(p.q, row_q * d_qk)), k(padded(p.k, row_k * d_qk)),
      v(padded(p.v, row_k * d_v)), grad_out(padded(p.grad_out, row_q * d_v));
  const DeviceBuffer<int> cu_seqlens_q(shifted(p.cu_seqlens_q, p.first_token_q)),
      cu_seqlens_k(shifted(p.cu_seqlens_k, p.first_token_k));
  const DeviceBuffer<__nv_bfloat16> out(p.grad_out.size()), grad_q(p.q.size()), grad_k(p.k.size()), grad_v(p.v.size());
  const DeviceBuffer<float> lse(p.size_q(1));
  const auto of_q = [&](const auto& buffer, std::size_t row) {
    return shifted_back(buffer.data(), row_offset(p.first_token_q, static_cast<std::int64_t>(row)));
  };
  const auto of_k = [&](const auto& buffer, std::size_t row) {
    return shifted_back(buffer.data(), row_offset(p.first_token_k, static_cast<std::int64_t>(row)));
  };
  const Tensors tensors{p.shape,
                        cu_seqlens_q.data(),
                        cu_seqlens_k.data(),
                        of_q(q, row_q * d_qk),
                        of_k(k, row_k * d_qk),
                        of_k(v, row_k * d_v),
                        of_q(grad_out, row_q * d_v)};
  const Outputs outputs{of_q(out, row_q * d_v), of_q(lse, 1), of_q(grad_q, row_q * d_qk), of_k(grad_k, row_k * d_qk),
                        of_k(grad_v, row_k * d_v)};
  forward(tensors, outputs);
  finish();
  expect_written(out);
  expect_written(lse);
  backward(tensors, outputs);
  finish();
  return {out.to_host(), grad_q.to_host(), grad_k.to_host(), grad_v.to_host(), lse.to_host()};
}

/// The forward pass alone; the gradients of the results hold nothing.
template <class Forward>
Results run_forward(const Problem& p, Forward forward) {
  return run(p, forward, [](const Tensors&, const Outputs&) {});
}

struct Expected {
  explicit Expected(const Problem& p) : want(reference(p.tensors())), plain(attention::plain(p.tensors())) {}
  Reference want, plain;
};

inline void expect_forward_near(const Results& got, const Expected& e) {
  expect_near("out", got.out, e.plain.out, e.want.out);
  expect_lse_near(got.lse, e.want.lse);
}
inline void expect_gradients_near(const Results& got, const Expected& e) {
  expect_near("grad_q", got.grad_q, e.plain.grad_q, e.want.grad_q);
  expect_near("grad_k", got.grad_k, e.plain.grad_k, e.want.grad_k);
  expect_near("grad_v", got.grad_v, e.plain.grad_v, e.want.grad_v);
}

}  // namespace traincost::kernels::attention
