#pragma once

#include <string>
#include <vector>

#include <kernels/common/device_buffer.hpp>
#include <kernels/common/moe_models.hpp>
#include <kernels/common/random.hpp>
#include <kernels/moe_index/moe_index.hpp>

/// What the cases of permute and combine share: rows of a model's tokens in the order of its experts.
namespace traincost::kernels {

struct RowsProblem {
  std::string label;
  int tokens = 0, topk = 0, hidden = 0, num_experts = 0;
  bool is_fp8 = false;
};

/// Problem: a RowsProblem with its shape().
template <class Problem>
std::vector<Problem> rows_problems(bool has_fp8) {
  std::vector<Problem> all;
  for (const auto& model : moe_models())
    for (const int tokens : token_counts())
      for (const bool is_fp8 : {false, true})
        if (!is_fp8 || has_fp8)
          all.push_back({{label(model, tokens) + (is_fp8 ? " fp8" : " bf16"), tokens, static_cast<int>(model.topk),
                          static_cast<int>(model.hidden), static_cast<int>(model.num_experts), is_fp8}});
  return all;
}

/// row_of_slot [tokens, topk] of a uniformly random routing, without padding.
inline std::vector<int> random_rows(const RowsProblem& p) {
  const std::int64_t slots = static_cast<std::int64_t>(p.tokens) * p.topk;
  Random random(1);
  std::vector<int> ids(static_cast<std::size_t>(slots));
  for (int& id : ids) id = random.below(p.num_experts);
  std::vector<int> counts(static_cast<std::size_t>(p.num_experts)), offsets(counts.size() + 1), rows(ids.size()),
      slot_of_row(ids.size());
  moe_index::reference({.slots = slots,
                        .num_experts = p.num_experts,
                        .ids = ids.data(),
                        .counts = counts.data(),
                        .offsets = offsets.data(),
                        .row_of_slot = rows.data(),
                        .slot_of_row = slot_of_row.data()});
  return rows;
}

inline std::size_t scales_per_row(const RowsProblem& p) { return p.is_fp8 ? (p.hidden + 127) / 128 : 0; }

/// `rows` rows of random elements: bf16 in -1..1, or e4m3 codes of every finite value, with scales.
struct HostRows {
  HostRows(const RowsProblem& p, std::size_t rows, std::uint64_t seed) {
    const std::size_t elements = rows * static_cast<std::size_t>(p.hidden);
    if (!p.is_fp8) {
      bf16 = random_bf16(elements, -1, 1, seed);
      return;
    }
    fp8 = random_codes(elements, seed);
    scales = random_floats(rows * scales_per_row(p), 1e-3F, 2e-3F, seed + 1);
  }
  [[nodiscard]] const void* data() const { return fp8.empty() ? static_cast<const void*>(bf16.data()) : fp8.data(); }
  [[nodiscard]] const float* scale_data() const { return scales.empty() ? nullptr : scales.data(); }

  std::vector<__nv_bfloat16> bf16;
  std::vector<std::uint8_t> fp8;
  std::vector<float> scales;
};

struct DeviceRows {
  explicit DeviceRows(const HostRows& host) : bf16(host.bf16), fp8(host.fp8), scales(host.scales) {}
  [[nodiscard]] const void* data() const {
    return fp8.data() != nullptr ? static_cast<const void*>(fp8.data()) : bf16.data();
  }
  [[nodiscard]] const float* scale_data() const { return scales.data(); }

  DeviceBuffer<__nv_bfloat16> bf16;
  DeviceBuffer<std::uint8_t> fp8;
  DeviceBuffer<float> scales;
};

}  // namespace traincost::kernels
