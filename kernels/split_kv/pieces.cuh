#pragma once

#include <kernels/split_kv/split_kv.hpp>

namespace traincost::kernels::split_kv {

/// Pages of one sequence that a part holds. slot: of its partial result, below 0 for a whole sequence.
struct Piece {
  int sequence, begin_page, end_page, length, slot;

  [[nodiscard]] __device__ __forceinline__ bool is_whole() const { return slot < 0; }
  /// Row of the results [b, rows] or of the partial ones [slots, rows] where those of the piece begin.
  [[nodiscard]] __device__ __forceinline__ std::int64_t first_row(int rows) const {
    return static_cast<std::int64_t>(is_whole() ? sequence : slot) * rows;
  }
};

/// Calls visit(piece) for each sequence of part `index`.
template <class Visit>
__device__ __forceinline__ void for_each_piece(const Plan& plan, int b, const int* lengths, int index, Visit visit) {
  const Part part = plan.parts[index];
  for (int s = part.begin_sequence; s < b && s <= part.end_sequence; ++s) {
    const int length = lengths[s];
    const int begin = s == part.begin_sequence ? part.begin_page : 0;
    const int end = s == part.end_sequence ? part.end_page : pages(length);
    if (begin >= end) continue;
    const int slot = plan.slot_begin[s];
    const bool is_cut = plan.slot_begin[s + 1] > slot;
    visit(Piece{s, begin, end, length, is_cut ? slot + index - plan.first_part[s] : -1});
  }
}

}  // namespace traincost::kernels::split_kv
