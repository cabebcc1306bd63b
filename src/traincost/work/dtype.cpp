#include <traincost/work/dtype.hpp>

#include <array>
#include <utility>

namespace traincost::work {
namespace {
struct Format {
  Dtype dtype;
  std::string_view name;
  double bytes;
};
constexpr std::array kFormats{
    Format{Dtype::fp32, "fp32", 4},
    Format{Dtype::tf32, "tf32", 4},
    Format{Dtype::bf16, "bf16", 2},
    Format{Dtype::fp16, "fp16", 2},
    Format{Dtype::fp8, "fp8", 1},
    Format{Dtype::fp8_block, "fp8_block", 1 + 4.0 / 128},
    Format{Dtype::mxfp8, "mxfp8", 1 + 1.0 / 32},
    Format{Dtype::int8, "int8", 1},
    Format{Dtype::nvfp4, "nvfp4", 0.5 + 1.0 / 16},
};
const Format& format(Dtype dtype) { return kFormats[static_cast<std::size_t>(dtype)]; }
}  // namespace

std::string_view to_string(Dtype dtype) { return format(dtype).name; }

std::optional<Dtype> parse_dtype(std::string_view text) {
  for (const auto& f : kFormats)
    if (f.name == text) return f.dtype;
  if (text == "bfloat16") return Dtype::bf16;
  if (text == "float16" || text == "half") return Dtype::fp16;
  return std::nullopt;
}

double bytes_per_element(Dtype dtype) { return format(dtype).bytes; }

}  // namespace traincost::work
