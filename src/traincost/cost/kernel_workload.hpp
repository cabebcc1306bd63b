#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/cost/kernel_row.hpp>
#include <traincost/work/op.hpp>

namespace traincost::cost {

/// How an exchange of tokens is sent: normal kernels once per node, low-latency ones each selection by itself.
enum class Exchange { once_per_node, low_latency, low_latency_network /* within a node too */ };

/// One operation of a published kernel.
struct WorkloadOp {
  work::Op op;
  work::Dtype dtype = work::Dtype::bf16;
  double count = 1;
  Exchange exchange = Exchange::once_per_node;
};

/// What a published figure is about, with the FLOPs and bytes by which its authors turned time into a rate.
struct Workload {
  std::vector<WorkloadOp> ops;
  double counted_flops = 0;
  double counted_bytes = 0;
  std::vector<std::string> assumed;  // defaults that blank fields took
  std::string skipped;               // why the row has no workload
};

/// From the row's configuration columns. Blank fields take the defaults of the field's standard benchmark.
Workload workload(const KernelRow& row);

}  // namespace traincost::cost
