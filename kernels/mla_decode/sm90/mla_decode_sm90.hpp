#pragma once

#include <kernels/mla_decode/mla_decode.hpp>

/// The same decode step on Hopper's tensor copies and wgmma.
namespace traincost::kernels::mla_decode::sm90 {

constexpr int kRows = 64;  // query rows that a block takes

constexpr int query_tiles(int rows) { return (rows + kRows - 1) / kRows; }

/// Parts that fill a card.
constexpr int num_parts(int s_q, int h_q, int sm_count) {
  return split_kv::parts_for(sm_count, 1, query_tiles(s_q * h_q));
}

void launch(const Params& params, cudaStream_t stream);

}  // namespace traincost::kernels::mla_decode::sm90
