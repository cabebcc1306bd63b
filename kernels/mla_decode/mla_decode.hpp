#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>
#include <kernels/split_kv/split_kv.hpp>

/// Multi-head latent attention with absorbed weights (DeepSeek-V2, arXiv 2405.04434, section 2.1.2) for the newest s_q
/// tokens of each sequence: all heads share one key of 512 latent and 64 rotary elements, and the latent is the value.
///
///   lse[s, h] = log of the sum over visible t of exp(sm_scale q[s, h] . cache[t])
///   out[s, h] = sum over visible t of exp(sm_scale q[s, h] . cache[t] - lse[s, h]) cache[t, 0..511]
///
/// The new tokens are in the cache already. Causal: query s sees all but the s_q - 1 - s newest. Without a visible
/// token out is 0 and lse minus infinity. What lies behind a sequence's length, in its last page and in its row of the
/// block table, is not read.
namespace traincost::kernels::mla_decode {

constexpr int kLatent = 512;
constexpr int kRope = 64;
constexpr int kKeyDim = kLatent + kRope;
constexpr int kScaleBlock = 128;  // latent elements under one scale of the fp8 cache
constexpr int kMaxHeads = 128;
constexpr int kMaxQueries = 4;

/// Bytes of a token in the fp8 cache: 512 e4m3 codes, 4 fp32 scales, 64 bf16.
constexpr int kScaleOffset = kLatent;
constexpr int kRopeOffset = kScaleOffset + kLatent / kScaleBlock * 4;
constexpr int kFp8TokenBytes = kRopeOffset + kRope * 2;
constexpr int token_bytes(bool is_fp8) { return is_fp8 ? kFp8TokenBytes : kKeyDim * 2; }

struct Params {
  int b = 0, s_q = 1, h_q = 0;
  int max_pages = 0;  // of a sequence
  bool is_fp8 = false, is_causal = true;
  float sm_scale = 0;
  const __nv_bfloat16* q = nullptr;  // [b, s_q, h_q, 576]
  const void* cache = nullptr;       // [pages, 64, 576] bf16 or [pages, 64, 656] bytes
  const int* block_table = nullptr;  // [b, max_pages]
  const int* lengths = nullptr;      // [b]
  split_kv::Plan plan;               // of these lengths
  float* partial_out = nullptr;      // [split_kv::max_slots(plan.num_parts), s_q, h_q, 512]
  float* partial_lse = nullptr;      // [split_kv::max_slots(plan.num_parts), s_q, h_q]
  __nv_bfloat16* out = nullptr;      // [b, s_q, h_q, 512]
  float* lse = nullptr;              // [b, s_q, h_q]
};

/// Parts that fill a card.
constexpr int num_parts(int s_q, int h_q, int sm_count) {
  return split_kv::parts_for(sm_count, 1, split_kv::query_tiles(s_q * h_q));
}

inline void validate(const Params& p) {
  require(p.b >= 1, "mla_decode", "b", p.b, "1 or more");
  require(p.s_q >= 1 && p.s_q <= kMaxQueries, "mla_decode", "s_q", p.s_q, "1..4");
  require(p.h_q >= 1 && p.h_q <= kMaxHeads, "mla_decode", "h_q", p.h_q, "1..128");
  require(p.max_pages >= 1, "mla_decode", "max_pages", p.max_pages, "1 or more");
}

void launch(const Params& params, cudaStream_t stream);

/// The obvious loops in fp64; the plan is not used.
void reference(const Params& params);

}  // namespace traincost::kernels::mla_decode
