#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine.hpp"

// What cuTensorMapEncodeTiled hides in its 128 bytes; here they hold this.
namespace ptx {

inline constexpr std::size_t kMostDimensions = 5;

struct TensorMap {
  std::uint32_t magic = 0;
  std::uint8_t rank = 0;
  std::uint8_t element_bytes = 0;
  std::uint8_t swizzle = 0;    // bytes that it spans: 0, 32, 64, 128
  std::uint8_t fills_nan = 0;  // out of bounds
  std::uint64_t address = 0;
  std::array<std::uint32_t, kMostDimensions> size{};  // elements
  std::array<std::uint16_t, kMostDimensions> box{};
  std::array<std::uint64_t, kMostDimensions> stride{};  // bytes; [0] is the element's
};
static_assert(sizeof(TensorMap) <= 128);

inline constexpr std::uint32_t kTensorMapMagic = 0x7e502a9;

/// What the driver would refuse (CUDA driver API, cuTensorMapEncodeTiled); nothing when the map is good.
[[nodiscard]] std::optional<std::string> refusal(const TensorMap& map);

[[nodiscard]] std::uint32_t box_bytes(const TensorMap& map);

/// The runs of bytes of the box at these coordinates. Outside of the tensor: from address 0.
[[nodiscard]] std::vector<BulkPart> box_parts(const TensorMap& map,
                                              const std::array<std::int32_t, kMostDimensions>& at);

/// Where a byte of shared memory goes under a swizzle that spans so many bytes: 16-byte chunks of a 128-byte line are
/// exchanged by the number of the line.
[[nodiscard]] constexpr std::uint32_t swizzled(std::uint32_t address, std::uint32_t span) {
  return span == 0 ? address : address ^ ((address >> 7 & (span / 16 - 1)) << 4);
}

}  // namespace ptx
