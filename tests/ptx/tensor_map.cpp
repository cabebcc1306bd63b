#include "tensor_map.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ptx {
namespace {

constexpr std::uint64_t kMostStride = std::uint64_t{1} << 40;

/// How many of `count` elements from `begin` lie before, in and behind [0, size).
struct Cut {
  std::uint32_t before = 0, inside = 0, behind = 0;
};
Cut cut(std::int64_t begin, std::uint32_t count, std::uint32_t size) {
  const std::int64_t end = begin + count;
  const std::int64_t first = std::clamp<std::int64_t>(begin, 0, size);
  const std::int64_t last = std::clamp<std::int64_t>(end, first, size);
  return {static_cast<std::uint32_t>(std::min<std::int64_t>(std::max<std::int64_t>(-begin, 0), count)),
          static_cast<std::uint32_t>(last - first),
          static_cast<std::uint32_t>(count - (last - first) -
                                     std::min<std::int64_t>(std::max<std::int64_t>(-begin, 0), count))};
}

}  // namespace

std::optional<std::string> refusal(const TensorMap& map) {
  if (map.rank < 1 || map.rank > kMostDimensions) return fmt::format("rank {}, expected 1..5", map.rank);
  if (map.address == 0 || map.address % 16 != 0) return "the address is not a multiple of 16";
  for (std::size_t i = 0; i < map.rank; ++i) {
    if (map.box[i] < 1 || map.box[i] > 256) return fmt::format("box[{}] = {}, expected 1..256", i, map.box[i]);
    if (i > 0 && (map.stride[i] % 16 != 0 || map.stride[i] >= kMostStride)) {
      return fmt::format("stride {} of {} bytes, expected a multiple of 16 below 2^40", i, map.stride[i]);
    }
  }
  const std::uint32_t inner = map.box[0] * map.element_bytes;
  if (inner % 16 != 0) return fmt::format("rows of {} bytes in the box, expected a multiple of 16", inner);
  if (map.swizzle != 0 && inner > map.swizzle) {
    return fmt::format("rows of {} bytes in the box, more than the {} of the swizzle", inner, map.swizzle);
  }
  return std::nullopt;
}

std::uint32_t box_bytes(const TensorMap& map) {
  std::uint32_t bytes = map.element_bytes;
  for (std::size_t i = 0; i < map.rank; ++i) bytes *= map.box[i];
  return bytes;
}

std::vector<BulkPart> box_parts(const TensorMap& map, const std::array<std::int32_t, kMostDimensions>& at) {
  const std::uint32_t element = map.element_bytes;
  const std::uint32_t row_bytes = map.box[0] * element;
  const Cut columns = cut(at[0], map.box[0], map.size[0]);
  std::vector<BulkPart> parts;
  const std::uint32_t rows = box_bytes(map) / row_bytes;
  for (std::uint32_t row = 0; row < rows; ++row) {
    bool inside = columns.inside != 0;
    std::uint64_t address = map.address + static_cast<std::uint64_t>(std::max(at[0], 0)) * element;
    std::uint32_t rest = row;
    for (std::size_t i = 1; i < map.rank; ++i) {
      const std::int64_t index = std::int64_t{at[i]} + rest % map.box[i];
      rest /= map.box[i];
      inside = inside && index >= 0 && index < map.size[i];
      address += static_cast<std::uint64_t>(index) * map.stride[i];
    }
    const std::uint32_t to = row * row_bytes;
    if (!inside) {
      parts.push_back({.shared = to, .bytes = row_bytes});
      continue;
    }
    const std::uint32_t before = columns.before * element;
    const std::uint32_t middle = columns.inside * element;
    if (before != 0) parts.push_back({.shared = to, .bytes = before});
    parts.push_back({.global = address, .shared = to + before, .bytes = middle});
    if (columns.behind != 0) parts.push_back({.shared = to + before + middle, .bytes = columns.behind * element});
  }
  return parts;
}

}  // namespace ptx
