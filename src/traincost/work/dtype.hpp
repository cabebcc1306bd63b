#pragma once

#include <optional>
#include <string_view>

namespace traincost::work {

/// Element formats. fp8_block: e4m3 with one scale per 1x128 (activations) or 128x128 (weights); mxfp8: one per 1x32.
enum class Dtype { fp32, tf32, bf16, fp16, fp8, fp8_block, mxfp8, int8, nvfp4 };

std::string_view to_string(Dtype dtype);
std::optional<Dtype> parse_dtype(std::string_view text);

/// Bytes per element, scales included.
double bytes_per_element(Dtype dtype);

}  // namespace traincost::work
