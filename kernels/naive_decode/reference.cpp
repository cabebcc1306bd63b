#include <kernels/common/address.hpp>
#include <kernels/common/reference_attention.hpp>
#include <kernels/naive_decode/naive_decode.hpp>

namespace traincost::kernels::naive_decode {

void reference(const SoftmaxParams& p) {
  validate(p);
  for (std::int64_t row = 0; row < row_offset(p.b, p.s_q) * p.h_q; ++row) {
    const float* x = p.scores + row_offset(row, p.s_kv);
    const int visible = visible_tokens(p.s_kv, p.s_q, static_cast<int>(row / p.h_q % p.s_q), true);
    const auto score = [&](int c) { return static_cast<double>(x[c]) * p.sm_scale; };
    const double lse = attend(visible, 0, score, [](int, int) { return 0.0; }).lse;
    for (int c = 0; c < p.s_kv; ++c)
      p.probabilities[row_offset(row, p.s_kv) + c] = __double2bfloat16(c < visible ? std::exp(score(c) - lse) : 0);
    p.lse[row] = static_cast<float>(lse);
  }
}

}  // namespace traincost::kernels::naive_decode
