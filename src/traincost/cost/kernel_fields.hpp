#pragma once

#include <optional>
#include <string>

#include <traincost/cost/kernel_row.hpp>
#include <traincost/cost/kernel_workload.hpp>

/// What the families of kernels share in reading a row.
namespace traincost::cost {

/// The widths of DeepSeek-V3's experts (arXiv 2412.19437, 4.2), which most published grouped products use.
inline constexpr double kExpertWidth = 2048, kExpertHidden = 7168, kExperts = 256, kTopk = 8;

/// Reads fields and notes the defaults taken.
class KernelFields {
 public:
  KernelFields(const KernelRow& row, Workload& out) : row_(row), out_(out) {}

  double get(const char* name, const std::optional<double>& value, double otherwise) {
    return value ? *value : assume(name, otherwise);
  }
  double assume(const char* name, double value);
  /// The first format that the column names, else the family; in blocks where the kernel says so.
  work::Dtype dtype();
  [[nodiscard]] const KernelRow& row() const { return row_; }

 private:
  const KernelRow& row_;
  Workload& out_;
};

bool is_backward_only(const KernelRow& row);
bool is_both(const KernelRow& row);
/// Times the forward work is done: a backward pass has two products for each of the forward pass.
double passes(const KernelRow& row);

/// Timed, and counted by its FLOPs and bytes.
void add(Workload& out, const work::Op& op, work::Dtype dtype, double count = 1);
void add_stream(Workload& out, double bytes);

/// Gathering the rows of each expert and summing its results: a token read or written once and topk times.
WorkloadOp gather_and_sum(double tokens, double hidden, double topk);

}  // namespace traincost::cost
