#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/units/quantity.hpp>
#include <traincost/work/decode.hpp>

/// What a key-value cache costs: its bytes, the work of a decode step against it, and the least time that a chip needs.
namespace traincost::cost {

/// One layer of a model with a kind of cache; `step` has no batch and no length yet.
struct CacheKind {
  std::string name;  // "mha", "gqa-8", "mla", "mla-fp8"
  work::PagedDecode step;
};

/// The uncompressed caches that the model's heads could have; for a model with MLA those of its latent, too.
std::vector<CacheKind> cache_kinds(const catalog::Model& model);

struct DecodeFloor {
  units::Seconds time;
  bool is_memory_bound = false;
};

/// A decode step of `b` sequences of s_kv tokens, one new token each.
work::PagedDecode decode_step(const CacheKind& kind, double b, double s_kv);

/// The larger of FLOP / dense bf16 rate (fp8 caches are expanded to bf16) and bytes / memory bandwidth; nullopt where
/// the chip's figures are not known.
std::optional<DecodeFloor> decode_floor(const work::PagedDecode& step, const catalog::Chip& chip);

/// Sequences of s_kv tokens whose caches of all layers fit into one chip's memory, when nothing else lies there.
std::optional<double> sequences_in_memory(const CacheKind& kind, double layers, double s_kv, const catalog::Chip& chip);

}  // namespace traincost::cost
