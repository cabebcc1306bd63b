#pragma once

#include <kernels/attention/attention.hpp>
#include <kernels/common/address.hpp>
#include <kernels/common/swizzled_rows.cuh>
#include <kernels/common/vec8.cuh>

/// What the forward and backward kernels of mma.sync share.
namespace traincost::kernels::attention {

constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;

// Divided before they are signed, which costs fewer registers.
__device__ __forceinline__ int warp() { return static_cast<int>(threadIdx.x / 32); }
__device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x % 32); }
__device__ __forceinline__ int quad() { return static_cast<int>(threadIdx.x % 32 / 4); }  // a fragment's row
__device__ __forceinline__ int quad_lane() { return static_cast<int>(threadIdx.x % 4); }  // of its pairs of columns

/// Where a sequence lies, and which keys its queries see.
struct Sequence {
  int first_q, first_k, s_q, s_k;
  bool is_causal;

  __device__ __forceinline__ Sequence(const Tensors& t, int n)
      : first_q(t.cu_seqlens_q[n]),
        first_k(t.cu_seqlens_k[n]),
        s_q(t.cu_seqlens_q[n + 1] - first_q),
        s_k(t.cu_seqlens_k[n + 1] - first_k),
        is_causal(t.shape.is_causal) {}

  /// Query i, which exists, sees the keys 0 .. visible(i) - 1, none for 0 or less.
  __device__ __forceinline__ int visible(int i) const { return is_causal ? i + 1 + s_k - s_q : s_k; }
  /// The first query that sees key j, which exists.
  __device__ __forceinline__ int first_query(int j) const { return is_causal ? max(0, j - (s_k - s_q)) : 0; }
};

/// Fragments of swizzled rows from one address per lane: columns differ by an exclusive or, rows by a constant, where
/// SwizzledRows would keep an address for each. The rows begin at a multiple of 128 bytes.
template <int kColumns>
struct Fragments {
  std::uint32_t address;

  __device__ __forceinline__ static Fragments of_a(SwizzledRows<kColumns> rows, int row) {
    const int l = lane();
    return {rows.at(row + l % 16, l / 16)};
  }
  __device__ __forceinline__ static Fragments of_b(SwizzledRows<kColumns> rows) {
    const int l = lane();
    return {rows.at(l / 16 * 8 + l % 8, l / 8 % 2)};
  }
  __device__ __forceinline__ static Fragments of_b_transposed(SwizzledRows<kColumns> rows) {
    const int l = lane();
    return {rows.at(l / 8 % 2 * 8 + l % 8, l / 16)};
  }
  /// `column`: a multiple of 16. Computed anew each time: kept, the addresses would cost registers of the loop.
  __device__ __forceinline__ Fragments at_column(int column) const {
    std::uint32_t x;
    asm volatile("xor.b32 %0, %1, %2;" : "=r"(x) : "r"(address), "r"(column % 64 * 2));
    return {x + column / 64 * 128};
  }
  /// `row`: a multiple of 8.
  __device__ __forceinline__ void load(std::uint32_t (&r)[4], int row) const {
    ptx::ldmatrix_x4(r, address + row * SwizzledRows<kColumns>::kRowBytes);
  }
  __device__ __forceinline__ void load_transposed(std::uint32_t (&r)[4], int row) const {
    ptx::ldmatrix_x4_trans(r, address + row * SwizzledRows<kColumns>::kRowBytes);
  }
};

/// Copies kRows rows of kColumns elements at a time, `heads` times as far apart, to swizzled rows: eight threads take a
/// row, 64 elements at a time. Each thread keeps one address.
template <int kThreads, int kRows, int kColumns>
class RowCopy {
 public:
  /// Rows `first` .. `first + rows - 1` of a tensor [.., heads, kColumns].
  __device__ __forceinline__ RowCopy(const __nv_bfloat16* tensor, int first, int rows, int heads, int head,
                                     std::uint32_t to)
      : rows_(rows - own_row()),
        source_(tensor + row_offset(row_offset(first + own_row(), heads) + head, kColumns) + threadIdx.x % 8 * 8),
        to_(SwizzledRows<kColumns>{to}.at(own_row(), static_cast<int>(threadIdx.x % 8))) {}

  /// Starts the copy of the next rows; those that do not exist become zeros, and nothing is read there.
  __device__ __forceinline__ void start(int heads) {
#pragma unroll
    for (int pass = 0; pass < kRows / kPass; ++pass) {
      const int bytes = rows_ > pass * kPass ? 16 : 0;
#pragma unroll
      for (int c = 0; c < kColumns; c += 64)
        ptx::cp_async_16(to_ + pass * kPass * kColumns * 2 + c * 2, source_ + c, bytes);
      source_ += row_offset(heads, kPass * kColumns);
    }
    rows_ -= kRows;
  }

 private:
  static constexpr int kPass = kThreads / 8;  // rows
  static_assert(kRows % kPass == 0 && kPass % 8 == 0);
  __device__ __forceinline__ static int own_row() { return static_cast<int>(threadIdx.x / 8); }

  int rows_;  // from this thread's on
  const __nv_bfloat16* source_;
  std::uint32_t to_;
};

/// Accumulators of two n8 fragments are, packed, the left fragment of another product.
__device__ __forceinline__ void pack_fragment(std::uint32_t (&a)[4], const float (&low)[4], const float (&high)[4]) {
  a[0] = pack_bf16(low[0], low[1]);
  a[1] = pack_bf16(low[2], low[3]);
  a[2] = pack_bf16(high[0], high[1]);
  a[3] = pack_bf16(high[2], high[3]);
}

/// A warp's 16 rows of kColumns to global memory in whole lines, through its own rows of shared memory (of kShared
/// columns), which no other warp may be using. `rows`: that exist.
template <int kColumns, int kShared>
__device__ __forceinline__ void store_rows(const float (&c)[kColumns / 8][4], const float (&factor)[2],
                                           SwizzledRows<kShared> shared, int first_row, __nv_bfloat16* to,
                                           std::int64_t stride, int rows) {
  const int row = first_row + quad(), byte = quad_lane() * 4;
  __syncwarp();
#pragma unroll
  for (int half = 0; half < 2; ++half)
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j)
      ptx::st_shared(shared.at(row + half * 8, j) + byte,
                     pack_bf16(c[j][half * 2] * factor[half], c[j][half * 2 + 1] * factor[half]));
  __syncwarp();
#pragma unroll
  for (int i = lane(); i < 16 * kColumns / 8; i += 32) {
    const int from = first_row + i / (kColumns / 8);
    const int chunk = i % (kColumns / 8);
    if (from < rows)
      *reinterpret_cast<uint4*>(to + row_offset(from, stride) + chunk * 8) = ptx::ld_shared_v4(shared.at(from, chunk));
  }
}

}  // namespace traincost::kernels::attention
