#pragma once

#include <cstdint>

#include <kernels/common/ptx.cuh>

namespace traincost::kernels {

/// Three bits reversed. By exclusive or with it, the 16-byte chunks of rows of 128 or more bytes are free of bank
/// conflicts where accumulators are stored (four rows of two chunks), where rows are read, and for ldmatrix.
__device__ __forceinline__ int row_swizzle(int row) { return (row & 1) << 2 | (row & 2) | (row >> 2 & 1); }

/// Rows of kColumns bf16 in shared memory, the 16-byte chunks of each group of eight swizzled by the row: eight
/// neighbouring rows at one column, and eight neighbouring chunks of one row, lie in different banks.
template <int kColumns>
struct SwizzledRows {
  static_assert(kColumns % 64 == 0);
  static constexpr int kChunks = kColumns / 8;  // of a row
  static constexpr int kRowBytes = kColumns * 2;

  std::uint32_t shared;

  __device__ __forceinline__ std::uint32_t at(int row, int chunk) const {
    return shared + row * kRowBytes + (chunk ^ (row & 7)) * 16;
  }

  /// The m16 x k16 fragment of a product's left side at (row, column).
  __device__ __forceinline__ void load_a(std::uint32_t (&r)[4], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    ptx::ldmatrix_x4(r, at(row + lane % 16, column / 8 + lane / 16));
  }

  /// Rows are the right side's outer index: n8 x k16 fragments at row (r[0], r[1]) and row + 8 (r[2], r[3]).
  __device__ __forceinline__ void load_b(std::uint32_t (&r)[4], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    ptx::ldmatrix_x4(r, at(row + lane / 16 * 8 + lane % 8, column / 8 + lane / 8 % 2));
  }

  /// Rows are the reduction: k16 x n8 fragments at column (r[0], r[1]) and column + 8 (r[2], r[3]).
  __device__ __forceinline__ void load_b_transposed(std::uint32_t (&r)[4], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    ptx::ldmatrix_x4_trans(r, at(row + lane / 8 % 2 * 8 + lane % 8, column / 8 + lane / 16));
  }
};

}  // namespace traincost::kernels
