#pragma once

namespace traincost::cost {

/// Share of a run's time that goes into steps; the rest is lost to failures: work since the last checkpoint, detection,
/// restart. Failures come in proportion to the GPUs, each costing the same time. Llama 3 (arXiv 2407.21783, section
/// 3.3.4): 419 unexpected interruptions in 54 days on 16,384 H100, at an effective training time of 90 %, its bound.
double goodput(double gpus);

}  // namespace traincost::cost
