#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// Copies each token's row to the rows of its experts: the token is read once and written topk times. It copies bytes,
/// so one kernel serves bf16 and fp8; the scales of fp8 ride along as 4-byte words.
///
/// Its backward pass is moe_combine without weights. Rows that no slot names (padding) are left as they are.
namespace traincost::kernels::moe_permute {

constexpr int kMaxTopk = 16;

struct Params {
  std::int64_t tokens = 0;
  int topk = 0;
  int row_bytes = 0;                    // hidden * bytes of an element, a multiple of 16
  int words_per_row = 0;                // fp32 scales of a row, hidden / 128 rounded up; 0: none
  const int* row_of_slot = nullptr;     // [tokens, topk], -1: not copied
  const void* input = nullptr;          // [tokens, row_bytes]
  const float* input_scales = nullptr;  // [tokens, words_per_row], may be nullptr
  void* output = nullptr;               // [rows, row_bytes]
  float* output_scales = nullptr;       // [rows, words_per_row], may be nullptr
};

/// The same from bf16 to e4m3 in one pass: a token is quantised once, as quantize does with a scale per 128, and its
/// codes and scales go to the rows of its experts. Scales lie by columns, as the fp8 products of Hopper take them.
struct QuantizeParams {
  std::int64_t tokens = 0;
  int topk = 0, hidden = 0;              // hidden: a multiple of 16
  std::int64_t scale_stride = 0;         // at least the rows
  const int* row_of_slot = nullptr;      // [tokens, topk], -1: not copied
  const __nv_bfloat16* input = nullptr;  // [tokens, hidden]
  std::uint8_t* output = nullptr;        // [rows, hidden]
  float* scales = nullptr;               // [ceil(hidden / 128), scale_stride]
};

inline void validate(const Params& p) {
  require(p.tokens >= 0 && p.tokens < (std::int64_t{1} << 31), "moe_permute", "tokens", p.tokens, "0..2^31-1");
  require(p.topk >= 1 && p.topk <= kMaxTopk, "moe_permute", "topk", p.topk, "1..16");
  require(p.row_bytes >= 16 && p.row_bytes % 16 == 0, "moe_permute", "row_bytes", p.row_bytes, "a multiple of 16");
  require(p.words_per_row >= 0, "moe_permute", "words_per_row", p.words_per_row, "0 or more");
}

inline void validate(const QuantizeParams& p) {
  validate(Params{.tokens = p.tokens, .topk = p.topk, .row_bytes = p.hidden});
  require(p.scale_stride >= 1 || p.tokens == 0, "moe_permute", "scale_stride", p.scale_stride, "1 or more");
}

void launch(const Params& params, cudaStream_t stream);
void launch(const QuantizeParams& params, cudaStream_t stream);
void reference(const Params& params);
void reference(const QuantizeParams& params);

}  // namespace traincost::kernels::moe_permute
