#pragma once

#include <traincost/units/quantity.hpp>
#include <traincost/work/dtype.hpp>
#include <traincost/work/op.hpp>

/// FLOPs and compulsory bytes of attention against a paged key-value cache, for the kernels and for comparing caches.
namespace traincost::work {

/// What one layer keeps of a token: keys and values of h_kv heads in `dtype`, and rotary elements in bf16.
struct KvCache {
  double h_kv = 1, d_k = 0, d_v = 0;  // MLA: d_k is the latent, which is the value too, so that d_v is 0
  double d_rope = 0;
  Dtype dtype = Dtype::bf16;
};

units::Bytes bytes_per_token(const KvCache& cache);

/// One layer's step over a paged cache, results split over blocks and combined. decode.s_kv: mean length.
struct PagedDecode {
  Decode decode;
  KvCache cache;
  double page_tokens = 64;
  double partial_results = 0;  // pieces of sequences that were cut: written and read as fp32
};

units::Flops flops(const PagedDecode& op);
units::Bytes bytes(const PagedDecode& op);
/// Of these, what the split alone costs.
units::Bytes partial_bytes(const PagedDecode& op);

/// Appends tokens to a cache of latents: the bf16 input is read, the cache is written.
struct CacheAppend {
  double tokens = 0;
  KvCache cache;
};
units::Bytes bytes(const CacheAppend& op);

/// Rotates `heads` vectors of `dim` bf16 elements of each token in place; one fp32 (cos, sin) per pair and position.
struct Rope {
  double tokens = 0, heads = 0, dim = 0;
};
units::Flops flops(const Rope& op);
units::Bytes bytes(const Rope& op);

}  // namespace traincost::work
