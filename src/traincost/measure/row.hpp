#pragma once

#include <string>

#include <traincost/units/quantity.hpp>
#include <traincost/work/op.hpp>

namespace traincost::measure {

/// How the latency was taken: L2 flushed, launches back to back, CUDA graph replay, or not stated.
enum class Mode { cold, hot, graph, unstated };

/// One timing of one operation on one chip.
struct Row {
  work::Op op;
  work::Dtype dtype = work::Dtype::bf16;
  std::string chip;  // catalogue id; as written in the source if unresolved
  bool is_resolved = true;
  std::string provider;  // "sglang_torch_linear", "cublaslt", ...
  units::Seconds latency;
  Mode mode = Mode::unstated;
  std::string source;   // file, repository and commit
  bool is_own = false;  // timed by our own benchmark
};

}  // namespace traincost::measure
