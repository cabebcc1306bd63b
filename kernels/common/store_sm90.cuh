#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include <kernels/common/address.hpp>
#include <kernels/common/ptx_sm90.cuh>
#include <kernels/common/vec8.cuh>

/// From the accumulators of wgmma to memory.
namespace traincost::kernels {

constexpr int kStagingBytes = 2048;  // of a warp: 16 rows of 64 bf16
constexpr int kStagingColumns = 64;

/// A tile's place in the output: rows and columns that exist from here on.
template <class T>
struct Output {
  T* data;
  std::int64_t stride;  // elements
  int rows, columns;
};

/// A warp's 16 rows as bf16, by way of kStagingBytes of shared memory, so that it writes whole lines. Columns: a
/// multiple of 8.
template <int kColumns>
__device__ __forceinline__ void store_rows(std::uint32_t staging, const float (&acc)[kColumns / 2],
                                           const Output<__nv_bfloat16>& out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  // 16-byte chunk of a row of 128 bytes; the exclusive or spreads rows over all banks.
  const auto at = [staging](int row, int chunk) { return staging + row * 128 + (chunk ^ (row % 8)) * 16; };
#pragma unroll
  for (int first = 0; first < kColumns; first += kStagingColumns) {
    if (first >= out.columns) break;
#pragma unroll
    for (int chunk = 0; chunk < kStagingColumns / 8; chunk += 2) {
      if (first + chunk * 8 >= kColumns) break;
      const float* c = acc + (first / 8 + chunk) * 4;
      const std::uint32_t r[4] = {pack_bf16(c[0], c[1]), pack_bf16(c[2], c[3]), pack_bf16(c[4], c[5]),
                                  pack_bf16(c[6], c[7])};
      ptx::stmatrix_x4(at(lane % 16, chunk + lane / 16), r);
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = i * 4 + lane / 8;
      const int column = first + lane % 8 * 8;
      if (row >= out.rows || column >= out.columns) continue;
      uint4 v;
      asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                   : "r"(at(row, lane % 8))
                   : "memory");
      *reinterpret_cast<uint4*>(out.data + row_offset(row, out.stride) + column) = v;
    }
    __syncwarp();
  }
}

}  // namespace traincost::kernels
