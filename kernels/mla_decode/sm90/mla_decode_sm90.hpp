#pragma once

#include <kernels/mla_decode/mla_decode.hpp>

/// The same decode step on Hopper's tensor copies and wgmma.
namespace traincost::kernels::mla_decode::sm90 {

constexpr int kRows = 64;  // query rows that a block takes

/// Parts that fill a card.
constexpr int num_parts(int s_q, int h_q, int sm_count) {
  return split_kv::parts_for(sm_count, 1, (s_q * h_q + kRows - 1) / kRows);
}

void launch(const Params& params, cudaStream_t stream);

}  // namespace traincost::kernels::mla_decode::sm90
