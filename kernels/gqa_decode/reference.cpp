#include <kernels/common/address.hpp>
#include <kernels/common/reference_attention.hpp>
#include <kernels/gqa_decode/gqa_decode.hpp>

namespace traincost::kernels::gqa_decode {

void reference(const Params& p) {
  validate(p);
  const auto token = [&](const __nv_bfloat16* cache, int b, int head, int t) {
    const int page = p.block_table[row_offset(b, p.max_pages) + t / split_kv::kPageTokens];
    const std::int64_t at = row_offset(page, split_kv::kPageTokens) + t % split_kv::kPageTokens;
    return cache + row_offset(row_offset(at, p.h_kv) + head, kHeadDim);
  };
  for (int b = 0; b < p.b; ++b)
    for (int s = 0; s < p.s_q; ++s)
      for (int h = 0; h < p.h_q; ++h) {
        const int head = h / (p.h_q / p.h_kv);
        const std::int64_t row = row_offset(row_offset(b, p.s_q) + s, p.h_q) + h;
        const __nv_bfloat16* q = p.q + row_offset(row, kHeadDim);
        const Attended a = attend(
            visible_tokens(p.lengths[b], p.s_q, s, p.is_causal), kHeadDim,
            [&](int t) {
              const __nv_bfloat16* k = token(p.k_cache, b, head, t);
              double sum = 0;
              for (int c = 0; c < kHeadDim; ++c)
                sum += static_cast<double>(__bfloat162float(q[c])) * __bfloat162float(k[c]);
              return sum * p.sm_scale;
            },
            [&](int t, int c) { return static_cast<double>(__bfloat162float(token(p.v_cache, b, head, t)[c])); });
        for (int c = 0; c < kHeadDim; ++c) p.out[row_offset(row, kHeadDim) + c] = __double2bfloat16(a.out[c]);
        p.lse[row] = static_cast<float>(a.lse);
      }
}

}  // namespace traincost::kernels::gqa_decode
