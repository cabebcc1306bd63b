#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include <kernels/common/address.hpp>
#include <kernels/common/require.hpp>

/// From expert ids to the order of rows that a grouped GEMM wants: all rows of expert 0, then of expert 1, ...
///
/// A slot is a (token, rank) pair, t * topk + k. A row is a place in the permuted order. Slots of one expert keep their
/// order, so the result does not depend on any schedule. An id outside 0..num_experts-1 (an expert of another GPU) has
/// no row.
namespace traincost::kernels::moe_index {

constexpr int kMaxExperts = 512;

struct Params {
  std::int64_t slots = 0;  // tokens * topk
  int num_experts = 0;
  int alignment = 1;           // each expert begins at a multiple of it
  const int* ids = nullptr;    // [slots]
  int* counts = nullptr;       // [num_experts]
  int* offsets = nullptr;      // [num_experts + 1], first row of each expert; the last is the end of all
  int* row_of_slot = nullptr;  // [slots], -1: none
  int* slot_of_row = nullptr;  // [row_capacity(slots, num_experts, alignment)], -1: padding
  void* workspace = nullptr;   // [workspace_bytes(slots, num_experts)]
};

/// Rows that suffice for every distribution of the slots.
TRAINCOST_HOST_DEVICE std::int64_t row_capacity(std::int64_t slots, int num_experts, int alignment) {
  const std::int64_t padded = slots + static_cast<std::int64_t>(num_experts) * (alignment - 1);
  return padded / alignment * alignment;
}

std::size_t workspace_bytes(std::int64_t slots, int num_experts);

inline void validate(const Params& p) {
  require(p.slots >= 0 && p.slots < (std::int64_t{1} << 31), "moe_index", "slots", p.slots, "0..2^31-1");
  require(p.num_experts >= 1 && p.num_experts <= kMaxExperts, "moe_index", "num_experts", p.num_experts, "1..512");
  require(p.alignment >= 1, "moe_index", "alignment", p.alignment, "1 or more");
  const std::int64_t rows = row_capacity(p.slots, p.num_experts, p.alignment);
  require(rows < (std::int64_t{1} << 31), "moe_index", "rows", rows, "less than 2^31");
}

void launch(const Params& params, cudaStream_t stream);
void reference(const Params& params);

}  // namespace traincost::kernels::moe_index
