#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/host_device.hpp>
#include <kernels/common/require.hpp>

/// Decoding attends a few new tokens of each sequence to its whole cache. To keep every SM busy whatever the lengths,
/// the pages of all sequences are laid on one line, which is cut into equal parts; a sequence that is cut leaves one
/// partial result per piece, and the combine step merges them by their log-sum-exp.
namespace traincost::kernels::split_kv {

constexpr int kPageTokens = 64;

// What a sequence costs beside its pages, in pages: the queries are read and the result is written, about as many
// bytes as two pages of an MLA cache hold.
constexpr int kOverheadPages = 2;
// A piece of fewer pages would move more bytes of partial results than of cache.
constexpr int kMinPagesPerPart = 4;

/// From page begin_page of begin_sequence up to, not including, page end_page of end_sequence.
struct Part {
  int begin_sequence, begin_page, end_sequence, end_page;
};

/// Made once per step on the device and used by all layers.
struct Plan {
  int num_parts = 0;                // blocks per query tile
  const Part* parts = nullptr;      // [num_parts]
  const int* first_part = nullptr;  // [b]
  const int* slot_begin = nullptr;  // [b + 1] where the partial results of a sequence begin; equal neighbours: not cut
};

struct PlanParams {
  int b = 0, num_parts = 0;
  const int* lengths = nullptr;  // [b] tokens in the cache, 0 and more
  Part* parts = nullptr;         // [num_parts]
  int* first_part = nullptr;     // [b]
  int* slot_begin = nullptr;     // [b + 1]
};

/// Merges [max_slots, rows, d_v] into out [b, rows, d_v] for the sequences that were cut.
struct CombineParams {
  int b = 0, rows = 0, d_v = 0;  // d_v: 128 or 512
  Plan plan;
  const float* partial_out = nullptr;  // [max_slots, rows, d_v]
  const float* partial_lse = nullptr;  // [max_slots, rows]
  __nv_bfloat16* out = nullptr;        // [b, rows, d_v]
  float* lse = nullptr;                // [b, rows]
};

/// A sequence without tokens counts as one page: its result must be written all the same.
TRAINCOST_HOST_DEVICE int pages(int length) { return length <= 0 ? 1 : (length + kPageTokens - 1) / kPageTokens; }

/// Query rows that a block takes on mma.sync: few heads need no tile of 64.
constexpr int tile_rows(int rows) { return rows <= 16 ? 16 : 64; }
constexpr int query_tiles(int rows) { return (rows + tile_rows(rows) - 1) / tile_rows(rows); }

/// At most two sequences of a part are cut.
constexpr int max_slots(int num_parts) { return 2 * num_parts; }

/// Parts that fill a card, each of which takes `blocks_per_part` blocks (query tiles times heads of the cache): one
/// wave, or up to four when whole parts would leave more than a tenth of fewer waves empty.
constexpr int parts_for(int sm_count, int blocks_per_sm, int blocks_per_part) {
  constexpr int kMaxWaves = 4;
  const int capacity = sm_count * blocks_per_sm;
  int parts = 0;
  for (int waves = 1; waves <= kMaxWaves; ++waves) {
    parts = waves * capacity / blocks_per_part;
    if (10 * parts * blocks_per_part >= 9 * waves * capacity) break;
  }
  return parts < 1 ? 1 : parts;
}

inline void validate(const PlanParams& p) {
  require(p.b >= 1, "split_kv", "b", p.b, "1 or more");
  require(p.num_parts >= 1, "split_kv", "num_parts", p.num_parts, "1 or more");
}
inline void validate(const CombineParams& p) {
  require(p.b >= 1, "split_kv", "b", p.b, "1 or more");
  require(p.rows >= 1, "split_kv", "rows", p.rows, "1 or more");
  require(p.d_v == 128 || p.d_v == 512, "split_kv", "d_v", p.d_v, "128 or 512");
}

void launch(const PlanParams& params, cudaStream_t stream);
void launch(const CombineParams& params, cudaStream_t stream);

/// Merges what the kernel of these parameters, mla_decode's or gqa_decode's, has left.
template <class Params>
void combine(const Params& p, int d_v, cudaStream_t stream) {
  launch(
      CombineParams{
          .b = p.b,
          .rows = p.s_q * p.h_q,
          .d_v = d_v,
          .plan = p.plan,
          .partial_out = p.partial_out,
          .partial_lse = p.partial_lse,
          .out = p.out,
          .lse = p.lse,
      },
      stream);
}

void reference(const PlanParams& params);
void reference(const CombineParams& params);

}  // namespace traincost::kernels::split_kv
