#pragma once

#include <cstdint>

#include "tensor_map.hpp"

// Matrices of wgmma in shared memory (PTX ISA 9.7.15.5): canonical layouts of 16-byte chunks, of which a descriptor
// gives the start, the two strides and the swizzle. The tests compare them with CuTe's.
namespace ptx {

inline constexpr std::uint32_t kChunkBytes = 16;

struct MatrixDescriptor {
  std::uint32_t start = 0, leading = 0, stride = 0;  // bytes
  std::uint32_t base_offset = 0;
  std::uint32_t span = 0;  // of the swizzle in bytes; 16: none
};

[[nodiscard]] constexpr MatrixDescriptor matrix_descriptor(std::uint64_t bits) {
  constexpr std::uint32_t kSpans[] = {16, 128, 64, 32};
  const auto field = [bits](int at) { return static_cast<std::uint32_t>(bits >> at & 0x3fffU) * 16; };
  return {.start = field(0),
          .leading = field(16),
          .stride = field(32),
          .base_offset = static_cast<std::uint32_t>(bits >> 49 & 7U),
          .span = kSpans[bits >> 62]};
}

/// The address of a chunk. K-major: `outer` counts rows, `chunk` chunks along k.
[[nodiscard]] constexpr std::uint32_t k_major_chunk(const MatrixDescriptor& d, std::uint32_t outer,
                                                    std::uint32_t chunk) {
  const std::uint32_t at =
      d.start + outer % 8 * d.span + outer / 8 * d.stride + chunk * (d.span == kChunkBytes ? d.leading : kChunkBytes);
  return swizzled(at, d.span == kChunkBytes ? 0 : d.span);
}

/// MN-major: `chunk` counts chunks along m or n, `k` single elements along k.
[[nodiscard]] constexpr std::uint32_t mn_major_chunk(const MatrixDescriptor& d, std::uint32_t chunk, std::uint32_t k) {
  if (d.span == kChunkBytes) return d.start + chunk * d.stride + k % 8 * kChunkBytes + k / 8 * d.leading;
  const std::uint32_t width = d.span / kChunkBytes;
  return swizzled(d.start + chunk % width * kChunkBytes + chunk / width * d.leading + k % 8 * d.span + k / 8 * d.stride,
                  d.span);
}

}  // namespace ptx
