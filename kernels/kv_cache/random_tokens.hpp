#pragma once

#include <numeric>
#include <vector>

#include <kernels/common/random.hpp>
#include <kernels/kv_cache/kv_cache.hpp>

namespace traincost::kernels::kv_cache {

/// `count` tokens side by side, as the cache of mla_decode keeps them; seeds 2 and 4: queries must have others.
inline std::vector<std::uint8_t> random_tokens(std::size_t count, bool is_fp8) {
  const auto latent = random_bf16(count * mla_decode::kLatent, -1, 1, 2);
  const auto rope = random_bf16(count * mla_decode::kRope, -1, 1, 4);
  std::vector<int> slots(count);
  std::iota(slots.begin(), slots.end(), 0);
  std::vector<std::uint8_t> bytes(count * mla_decode::token_bytes(is_fp8));
  reference({.tokens = static_cast<std::int64_t>(count),
             .is_fp8 = is_fp8,
             .latent = latent.data(),
             .rope = rope.data(),
             .slots = slots.data(),
             .cache = bytes.data()});
  return bytes;
}

}  // namespace traincost::kernels::kv_cache
