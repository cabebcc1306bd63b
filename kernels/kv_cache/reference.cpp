#include <algorithm>
#include <cmath>
#include <cstring>

#include <kernels/common/address.hpp>
#include <kernels/common/fp8.hpp>
#include <kernels/kv_cache/kv_cache.hpp>

namespace traincost::kernels::kv_cache {
namespace {

using mla_decode::kFp8TokenBytes;
using mla_decode::kKeyDim;
using mla_decode::kLatent;
using mla_decode::kRope;
using mla_decode::kRopeOffset;
using mla_decode::kScaleBlock;
using mla_decode::kScaleOffset;

float append_block(const __nv_bfloat16* from, std::uint8_t* codes) {
  float largest = 0;
  for (int i = 0; i < kScaleBlock; ++i) largest = std::fmax(largest, std::fabs(__bfloat162float(from[i])));
  const float scale = largest > 0 ? largest / kMaxE4m3 : 1.0F;
  for (int i = 0; i < kScaleBlock; ++i) codes[i] = encode_e4m3(__bfloat162float(from[i]) / scale);
  return scale;
}

}  // namespace

std::vector<float2> rope_table(int positions, int dim, double theta) {
  std::vector<float2> table;
  table.reserve(static_cast<std::size_t>(positions) * dim / 2);
  for (int m = 0; m < positions; ++m)
    for (int i = 0; i < dim / 2; ++i) {
      const double angle = m * std::pow(theta, -2.0 * i / dim);
      table.push_back(make_float2(static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))));
    }
  return table;
}

void reference(const AppendParams& p) {
  validate(p);
  for (std::int64_t t = 0; t < p.tokens; ++t) {
    if (p.slots[t] < 0) continue;
    const __nv_bfloat16* latent = p.latent + row_offset(t, kLatent);
    const __nv_bfloat16* rope = p.rope + row_offset(t, kRope);
    if (!p.is_fp8) {
      auto* to = static_cast<__nv_bfloat16*>(p.cache) + row_offset(p.slots[t], kKeyDim);
      std::copy_n(latent, kLatent, to);
      std::copy_n(rope, kRope, to + kLatent);
      continue;
    }
    auto* to = static_cast<std::uint8_t*>(p.cache) + row_offset(p.slots[t], kFp8TokenBytes);
    for (int block = 0; block < kLatent / kScaleBlock; ++block) {
      const float scale = append_block(latent + row_offset(block, kScaleBlock), to + row_offset(block, kScaleBlock));
      std::memcpy(to + kScaleOffset + block * sizeof scale, &scale, sizeof scale);
    }
    std::memcpy(to + kRopeOffset, rope, kRope * sizeof *rope);
  }
}

void reference(const RopeParams& p) {
  validate(p);
  for (std::int64_t t = 0; t < p.tokens; ++t)
    for (int h = 0; h < p.heads; ++h)
      for (int i = 0; i < p.dim / 2; ++i) {
        const std::int64_t at = t * p.token_stride + h * p.head_stride;
        const std::int64_t first = at + (p.is_interleaved ? 2 * i : i);
        const std::int64_t second = at + (p.is_interleaved ? 2 * i + 1 : i + p.dim / 2);
        const float2 by = p.table[row_offset(p.positions[t], p.dim / 2) + i];
        const double x = __bfloat162float(p.input[first]);
        const double y = __bfloat162float(p.input[second]);
        p.output[first] = __double2bfloat16(x * by.x - y * by.y);
        p.output[second] = __double2bfloat16(x * by.y + y * by.x);
      }
}

}  // namespace traincost::kernels::kv_cache
