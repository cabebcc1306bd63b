#pragma once

#include <cstdint>

#include <kernels/common/host_device.hpp>

namespace traincost::kernels {

/// Element offset of a row. 64 bits: DeepSeek-V3's 7168 columns pass 2^31 elements at row 299,594.
TRAINCOST_HOST_DEVICE std::int64_t row_offset(std::int64_t row, std::int64_t columns) { return row * columns; }

TRAINCOST_HOST_DEVICE std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace traincost::kernels
