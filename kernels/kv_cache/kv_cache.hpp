#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

#include <kernels/common/require.hpp>
#include <kernels/mla_decode/mla_decode.hpp>

/// What happens to a new token before mla_decode sees it: its rotary elements are turned by its position, and it is
/// appended to the compressed cache.
namespace traincost::kernels::kv_cache {

/// Writes tokens into the cache of mla_decode. fp8: each 128 latent elements as e4m3(x / scale), scale = max |x| / 448
/// and 1 for zeros; NaN and infinity as in quantize. The rotary elements stay bf16.
struct AppendParams {
  std::int64_t tokens = 0;
  bool is_fp8 = false;
  const __nv_bfloat16* latent = nullptr;  // [tokens, 512]
  const __nv_bfloat16* rope = nullptr;    // [tokens, 64], turned already
  const int* slots = nullptr;             // [tokens] 64 * page + place within it; below 0: the token is left out
  void* cache = nullptr;                  // [pages, 64, 576] bf16 or [pages, 64, 656] bytes
};

/// Rotary embedding (Su et al. 2021, arXiv 2104.09864, equation 34): pair i of a vector at position m turns by the
/// angle m theta^(-2i / dim). Pairs are neighbours (2i, 2i + 1) or halves (i, i + dim / 2). output may be input.
struct RopeParams {
  std::int64_t tokens = 0;
  int heads = 0, dim = 0;                          // dim: a multiple of 8
  std::int64_t token_stride = 0, head_stride = 0;  // elements, multiples of 8
  bool is_interleaved = true;                      // neighbours
  const int* positions = nullptr;                  // [tokens]
  const float2* table = nullptr;                   // [positions, dim / 2] (cos, sin)
  const __nv_bfloat16* input = nullptr;            // [tokens, heads, dim] by the strides
  __nv_bfloat16* output = nullptr;                 // likewise
};

/// Cosine and sine of each position below `positions` and each pair, [positions, dim / 2]. Angles in fp64: at 131,072
/// an fp32 angle is off by 0.004.
std::vector<float2> rope_table(int positions, int dim, double theta);

inline void validate(const AppendParams& p) {
  require(p.tokens >= 0, "kv_cache append", "tokens", p.tokens, "0 or more");
}
inline void validate(const RopeParams& p) {
  require(p.tokens >= 0, "kv_cache rope", "tokens", p.tokens, "0 or more");
  require(p.heads >= 1, "kv_cache rope", "heads", p.heads, "1 or more");
  require(p.dim >= 8 && p.dim % 8 == 0, "kv_cache rope", "dim", p.dim, "a multiple of 8");
  require(p.head_stride % 8 == 0, "kv_cache rope", "head_stride", p.head_stride, "a multiple of 8");
  require(p.token_stride % 8 == 0, "kv_cache rope", "token_stride", p.token_stride, "a multiple of 8");
}

void launch(const AppendParams& params, cudaStream_t stream);
void launch(const RopeParams& params, cudaStream_t stream);

void reference(const AppendParams& params);
void reference(const RopeParams& params);

}  // namespace traincost::kernels::kv_cache
