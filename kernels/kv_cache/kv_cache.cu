#include <kernels/common/address.hpp>
#include <kernels/common/block_scale.cuh>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
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

constexpr int kLatentVectors = kLatent / 8;
constexpr int kRopeVectors = kRope / 8;
constexpr int kLanesPerToken = 96;  // three warps: two for the latent, eight lanes for the rotary elements
constexpr int kThreads = 2 * kLanesPerToken;
constexpr int kLanesPerScale = kScaleBlock / 8;

__device__ __forceinline__ void copy_rope(const AppendParams& p, std::int64_t token, int vector, void* to) {
  static_cast<uint4*>(to)[vector] = reinterpret_cast<const uint4*>(p.rope + row_offset(token, kRope))[vector];
}

__device__ __forceinline__ void append_bf16(const AppendParams& p, std::int64_t token, int slot, int lane) {
  auto* to = static_cast<__nv_bfloat16*>(p.cache) + row_offset(slot, kKeyDim);
  if (lane < kLatentVectors)
    reinterpret_cast<uint4*>(to)[lane] = reinterpret_cast<const uint4*>(p.latent + row_offset(token, kLatent))[lane];
  else if (lane < kLatentVectors + kRopeVectors)
    copy_rope(p, token, lane - kLatentVectors, to + kLatent);
}

__device__ __forceinline__ void append_fp8(const AppendParams& p, std::int64_t token, int slot, int lane) {
  auto* to = static_cast<std::uint8_t*>(p.cache) + row_offset(slot, kFp8TokenBytes);
  if (lane < kLatentVectors) {
    const Float8 x = load8(p.latent + row_offset(token, kLatent), lane);
    const float scale = scale_of(warp_max<kLanesPerScale>(max_abs(x)));
    store_codes(to, lane, x, scale);
    if (lane % kLanesPerScale == 0) reinterpret_cast<float*>(to + kScaleOffset)[lane / kLanesPerScale] = scale;
  } else if (lane < kLatentVectors + kRopeVectors) {
    copy_rope(p, token, lane - kLatentVectors, to + kRopeOffset);
  }
}

__global__ void __launch_bounds__(kThreads) append_kernel(AppendParams p) {
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * 2 + threadIdx.x / kLanesPerToken;
  if (token >= p.tokens) return;
  const int slot = p.slots[token];
  if (slot < 0) return;
  const int lane = static_cast<int>(threadIdx.x) % kLanesPerToken;
  if (p.is_fp8)
    append_fp8(p, token, slot, lane);
  else
    append_bf16(p, token, slot, lane);
}

__device__ __forceinline__ float2 turned(float x, float y, float2 by) {
  return make_float2(x * by.x - y * by.y, x * by.y + y * by.x);
}

/// A thread turns four pairs of one head of one token.
template <bool kIsInterleaved>
__global__ void __launch_bounds__(256) rope_kernel(RopeParams p) {
  const int groups = p.dim / 8;
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x;
  const int group = static_cast<int>(index % groups);
  const std::int64_t head = index / groups % p.heads;
  const std::int64_t token = index / groups / p.heads;
  if (token >= p.tokens) return;
  const std::int64_t at = token * p.token_stride + head * p.head_stride;
  const float2* by = p.table + row_offset(p.positions[token], p.dim / 2) + group * 4;
  // Neighbours: eight elements; halves: four and four.
  const int first = kIsInterleaved ? group * 8 : group * 4;
  const int second = kIsInterleaved ? first + 4 : first + p.dim / 2;
  const auto load = [&](int column) { return *reinterpret_cast<const uint2*>(p.input + at + column); };
  const uint2 a = load(first);
  const uint2 b = load(second);
  Float8 x = unpack_bf16(make_uint4(a.x, a.y, b.x, b.y));
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float& u = x.x[kIsInterleaved ? 2 * i : i];
    float& v = x.x[kIsInterleaved ? 2 * i + 1 : i + 4];
    const float2 turn = turned(u, v, by[i]);
    u = turn.x;
    v = turn.y;
  }
  *reinterpret_cast<uint2*>(p.output + at + first) = make_uint2(pack_bf16(x.x[0], x.x[1]), pack_bf16(x.x[2], x.x[3]));
  *reinterpret_cast<uint2*>(p.output + at + second) = make_uint2(pack_bf16(x.x[4], x.x[5]), pack_bf16(x.x[6], x.x[7]));
}

}  // namespace

void launch(const AppendParams& params, cudaStream_t stream) {
  validate(params);
  if (params.tokens == 0) return;
  append_kernel<<<static_cast<unsigned>(ceil_div(params.tokens, 2)), kThreads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch(const RopeParams& params, cudaStream_t stream) {
  validate(params);
  if (params.tokens == 0) return;
  const std::int64_t threads = params.tokens * params.heads * (params.dim / 8);
  const auto blocks = static_cast<unsigned>(ceil_div(threads, 256));
  if (params.is_interleaved)
    rope_kernel<true><<<blocks, 256, 0, stream>>>(params);
  else
    rope_kernel<false><<<blocks, 256, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::kv_cache
