#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <traincost/measure/csv.hpp>

namespace traincost::cost {

/// What a row of published kernel figures says about the work: never its value or its remarks.
struct KernelRow {
  std::string kernel, op_family, metric, unit, dtype, gpu, chip, pass;
  std::optional<double> m, n, k, tokens, hidden, experts, topk, heads, seq, batch, d_qk, d_v, kv_heads, causal, s_q;
};

/// Throws InputError (file and line) for a figure that is not a positive number.
KernelRow kernel_row(const measure::CsvTable& table, std::size_t row);

/// Throws InputError when the table lacks op_family, metric or unit.
void require_kernel_columns(const measure::CsvTable& table);

/// Whether the kernel's name holds `word`, ignoring case.
bool mentions(const KernelRow& row, std::string_view word);

/// The number right after `before` in the kernel's name, ignoring case and spaces: ("EP", "EP16") -> 16.
std::optional<double> number_after(const KernelRow& row, std::string_view before);
/// The number right before `after`: ("GPUs", "all-reduce 8 GPUs") -> 8.
std::optional<double> number_before(const KernelRow& row, std::string_view after);

}  // namespace traincost::cost
