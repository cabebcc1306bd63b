#include <traincost/cost/cache_cost.hpp>

#include <cmath>
#include <string>
#include <utility>

namespace traincost::cost {
namespace {

using work::PagedDecode;

constexpr double kGroups = 8;

/// Keys and values of h_kv heads as wide as the model's values.
CacheKind uncompressed(std::string name, const catalog::Model& m, double h_kv) {
  const double d = m.v_head_dim;
  return {.name = std::move(name),
          .step = {.decode = {.h_q = m.heads, .h_kv = h_kv, .d_qk = d, .d_v = d},
                   .cache = {.h_kv = h_kv, .d_k = d, .d_v = d}}};
}

CacheKind latent(std::string name, const catalog::Model& m, work::Dtype dtype) {
  return {.name = std::move(name),
          .step = {.decode = {.h_q = m.heads,
                              .h_kv = 1,
                              .d_qk = m.kv_lora_rank + m.rope_dim,
                              .d_v = m.kv_lora_rank,
                              .values_in_keys = true},
                   .cache = {.d_k = m.kv_lora_rank, .d_rope = m.rope_dim, .dtype = dtype}}};
}

}  // namespace

std::vector<CacheKind> cache_kinds(const catalog::Model& m) {
  std::vector<CacheKind> kinds{uncompressed("mha", m, m.heads), uncompressed("gqa-8", m, kGroups)};
  if (m.attention == catalog::AttentionKind::mla) {
    kinds.push_back(latent("mla", m, work::Dtype::bf16));
    kinds.push_back(latent("mla-fp8", m, work::Dtype::fp8_block));
  }
  return kinds;
}

PagedDecode decode_step(const CacheKind& kind, double b, double s_kv) {
  PagedDecode step = kind.step;
  step.decode.b = b;
  step.decode.s_kv = s_kv;
  return step;
}

std::optional<DecodeFloor> decode_floor(const PagedDecode& step, const catalog::Chip& chip) {
  const auto rate = catalog::rate(chip, work::Dtype::bf16);
  if (!rate || !chip.memory_bytes_per_s) return std::nullopt;
  const units::Seconds compute = work::flops(step) / rate->flops_per_s;
  const units::Seconds memory = work::bytes(step) / *chip.memory_bytes_per_s;
  return DecodeFloor{.time = units::max(compute, memory), .is_memory_bound = memory > compute};
}

std::optional<double> sequences_in_memory(const CacheKind& kind, double layers, double s_kv,
                                          const catalog::Chip& chip) {
  if (!chip.memory_bytes) return std::nullopt;
  return std::floor(*chip.memory_bytes / (layers * s_kv * work::bytes_per_token(kind.step.cache)));
}

}  // namespace traincost::cost
