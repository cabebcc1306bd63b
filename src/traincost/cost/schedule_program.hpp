#pragma once

#include <vector>

#include <traincost/cost/schedule.hpp>

namespace traincost::cost {

enum class Work { forward, backward /* both gradients */, input_grad, weight_grad, pair /* forward with a backward */ };
inline constexpr int kWorks = 5;

/// What one stage does next. `flow`: DualPipe runs micro-batches in both directions, 0 from the first stage, 1 from the
/// last. A pair's backward is that of (flow 1 - flow, micro_batch_back).
struct Task {
  Work work = Work::forward;
  int chunk = 0, micro_batch = 0, flow = 0;
  int micro_batch_back = 0;
};

/// Tasks of each stage, in order.
using Program = std::vector<std::vector<Task>>;

Program program(const PipelineShape& shape);

}  // namespace traincost::cost
