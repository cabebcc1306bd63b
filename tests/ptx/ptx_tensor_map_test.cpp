#include <gtest/gtest.h>

#include <kernels/common/tensor_map.hpp>

#include "device_array.hpp"
#include "ptx/ptx.hpp"
#include "ptx_hopper_kernels.hpp"

// Boxes of tensor maps: where each byte lands, and what lies outside of the tensor.
namespace ptx::test {
namespace {

namespace tk = traincost::kernels;

constexpr std::int64_t kRows = 20, kColumns = 72;  // bf16

std::vector<std::uint16_t> numbered(std::size_t count) {
  std::vector<std::uint16_t> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::uint16_t>(i + 1);
  return values;
}

/// Row r, 16-byte chunk c of a swizzled box lies at chunk c ^ (line % chunks), a line being 128 bytes.
std::size_t place(std::size_t row, std::size_t column, std::size_t row_bytes, std::size_t span) {
  const std::size_t linear = row * row_bytes + 2 * column;
  const std::size_t line = linear / 128;
  return span == 0 ? linear : linear ^ (line % (span / 16) * 16);
}

struct Box {
  CUtensorMapSwizzle swizzle;
  std::size_t span;
  int columns, rows, x, y;
};

TEST(TensorMap, BoxesLandSwizzledAndOutsideIsZero) {
  const std::vector<Box> boxes{
      {CU_TENSOR_MAP_SWIZZLE_NONE, 0, 24, 7, 3, 2},      {CU_TENSOR_MAP_SWIZZLE_NONE, 0, 8, 5, -3, -2},
      {CU_TENSOR_MAP_SWIZZLE_32B, 32, 16, 16, 8, 1},     {CU_TENSOR_MAP_SWIZZLE_64B, 64, 32, 20, 50, 10},
      {CU_TENSOR_MAP_SWIZZLE_128B, 128, 64, 16, 0, 0},   {CU_TENSOR_MAP_SWIZZLE_128B, 128, 64, 24, 64, 15},
      {CU_TENSOR_MAP_SWIZZLE_128B, 128, 64, 8, -64, 30},
  };
  const auto data = numbered(kRows * kColumns);
  const DeviceArray<std::uint16_t> device(data);
  for (const Box& box : boxes) {
    const CUtensorMap map = tk::tensor_map(device.data(), {.rows = kRows,
                                                           .columns = kColumns,
                                                           .stride = kColumns,
                                                           .box_rows = box.rows,
                                                           .box_columns = box.columns,
                                                           .swizzle = box.swizzle});
    const int bytes = box.rows * box.columns * 2;
    const DeviceArray<std::uint8_t> out(static_cast<std::size_t>(bytes));
    launch_box_load(map, {box.x, box.y, 0}, 2, bytes, out.data());
    ASSERT_EQ(take_fault(), "");
    const auto got = out.host();
    for (int r = 0; r < box.rows; ++r) {
      for (int c = 0; c < box.columns; ++c) {
        const int row = r + box.y;
        const int column = c + box.x;
        const bool inside = row >= 0 && row < kRows && column >= 0 && column < kColumns;
        const std::size_t at = place(static_cast<std::size_t>(r), static_cast<std::size_t>(c),
                                     static_cast<std::size_t>(box.columns) * 2, box.span);
        const int value = got[at] | got[at + 1] << 8;
        ASSERT_EQ(value, inside ? data[static_cast<std::size_t>(row * kColumns + column)] : 0) << r << " " << c;
      }
    }
  }
}

TEST(TensorMap, StoresLeaveOutWhatLiesOutside) {
  const DeviceArray<float> device(std::vector<float>(96, -1.0F));
  const CUtensorMap map = tk::tensor_map(
      device.data(),
      {.rows = 8, .columns = 12, .stride = 12, .box_rows = 4, .box_columns = 8, .swizzle = CU_TENSOR_MAP_SWIZZLE_NONE});
  launch_box_store(map, {8, 6}, 4 * 8 * 4);
  ASSERT_EQ(take_fault(), "");
  const auto got = device.host();
  for (std::size_t r = 0; r < 8; ++r) {
    for (std::size_t c = 0; c < 12; ++c) {
      const bool stored = r >= 6 && c >= 8;
      const auto bits = static_cast<std::uint32_t>((r - 6) * 8 + c - 8);
      float number = 0;
      std::memcpy(&number, &bits, sizeof(number));
      ASSERT_EQ(got[r * 12 + c], stored ? number : -1.0F) << r << " " << c;
    }
  }
}

TEST(TensorMap, WhatTheDriverRefuses) {
  const DeviceArray<std::uint16_t> device(numbered(4096));
  const tk::MatrixBox good{.rows = 64, .columns = 64, .stride = 64, .box_rows = 8, .box_columns = 64};
  EXPECT_NO_THROW((void)tk::tensor_map(device.data(), good));
  auto refused = [&](auto change) {
    tk::MatrixBox bad = good;
    change(bad);
    EXPECT_THROW((void)tk::tensor_map(device.data(), bad), tk::CudaError);
  };
  refused([](auto& m) { m.stride = 65; });        // 130 bytes
  refused([](auto& m) { m.box_columns = 4; });    // 8 bytes
  refused([](auto& m) { m.box_columns = 128; });  // wider than the swizzle
  refused([](auto& m) { m.box_rows = 257; });
  EXPECT_THROW((void)tk::tensor_map(device.data() + 4, good), tk::CudaError);
  EXPECT_NE(take_fault(), "");
}

TEST(TensorMap, AWrongRankIsSeen) {
  const DeviceArray<std::uint16_t> device(numbered(4096));
  const CUtensorMap map =
      tk::tensor_map(device.data(), {.rows = 64, .columns = 64, .stride = 64, .box_rows = 8, .box_columns = 64});
  const DeviceArray<std::uint8_t> out(1024);
  launch_box_load(map, {0, 0, 0}, 3, 1024, out.data());
  EXPECT_NE(take_fault().find("3 dimensions with a tensor map of 2"), std::string::npos);
  cudaGetLastError();
}

}  // namespace
}  // namespace ptx::test
