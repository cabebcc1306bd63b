#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>
#include <kernels/split_kv/split_kv.hpp>

/// Attention of the newest s_q tokens to an uncompressed paged cache of head dimension 128: query heads h_q / h_kv
/// share a head of the cache (h_kv = h_q: multi-head, h_kv = 1: multi-query). Masks, lengths, plan and results are
/// those of mla_decode.
namespace traincost::kernels::gqa_decode {

constexpr int kHeadDim = 128;
constexpr int kMaxHeads = 128;
constexpr int kMaxQueries = 4;

struct Params {
  int b = 0, s_q = 1, h_q = 0, h_kv = 0;
  int max_pages = 0;  // of a sequence
  bool is_causal = true;
  float sm_scale = 0;
  const __nv_bfloat16* q = nullptr;        // [b, s_q, h_q, 128]
  const __nv_bfloat16* k_cache = nullptr;  // [pages, 64, h_kv, 128]
  const __nv_bfloat16* v_cache = nullptr;  // [pages, 64, h_kv, 128]
  const int* block_table = nullptr;        // [b, max_pages]
  const int* lengths = nullptr;            // [b]
  split_kv::Plan plan;                     // of these lengths
  float* partial_out = nullptr;            // [split_kv::max_slots(plan.num_parts), s_q, h_q, 128]
  float* partial_lse = nullptr;            // [split_kv::max_slots(plan.num_parts), s_q, h_q]
  __nv_bfloat16* out = nullptr;            // [b, s_q, h_q, 128]
  float* lse = nullptr;                    // [b, s_q, h_q]
};

/// Query rows of one head of the cache.
constexpr int rows_per_head(int s_q, int h_q, int h_kv) { return s_q * (h_q / h_kv); }

// Two blocks share the shared memory of an SM.
constexpr int kBlocksPerSm = 2;

/// Parts that fill a card.
constexpr int num_parts(int s_q, int h_q, int h_kv, int sm_count) {
  return split_kv::parts_for(sm_count, kBlocksPerSm, h_kv * split_kv::query_tiles(rows_per_head(s_q, h_q, h_kv)));
}

inline void validate(const Params& p) {
  require(p.b >= 1, "gqa_decode", "b", p.b, "1 or more");
  require(p.s_q >= 1 && p.s_q <= kMaxQueries, "gqa_decode", "s_q", p.s_q, "1..4");
  require(p.h_q >= 1 && p.h_q <= kMaxHeads, "gqa_decode", "h_q", p.h_q, "1..128");
  require(p.h_kv >= 1 && p.h_q % p.h_kv == 0, "gqa_decode", "h_kv", p.h_kv, "a divisor of h_q");
  require(p.max_pages >= 1, "gqa_decode", "max_pages", p.max_pages, "1 or more");
}

void launch(const Params& params, cudaStream_t stream);

/// The obvious loops in fp64; the plan is not used.
void reference(const Params& params);

}  // namespace traincost::kernels::gqa_decode
