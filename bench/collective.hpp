#pragma once

#include <string>
#include <vector>

#include <traincost/catalog/chip.hpp>

#include <bench/job.hpp>

/// Collectives as rows: sizes, names and rates; what runs them is bench/collectives.
namespace traincost::bench {

struct CollectiveCase {
  std::string name;  // "all_reduce", ..., "dispatch", "combine"
  work::Op op;
  double buffer_bytes = 0;  // of each GPU
};

/// All-reduce, all-gather, reduce-scatter and all-to-all from 4 KiB to 1 GiB, and the expert exchange of the
/// catalogue's models where `gpus` divides their experts.
std::vector<CollectiveCase> collective_cases(int gpus);

/// The job of a case without its prepare(); the floor is that of the chip's link within the scale-up domain. Its rows
/// carry algbw, the buffer over the time, and busbw, the bytes that must cross each link over the time: comparable
/// between collectives and counts of GPUs (NCCL tests, doc/PERFORMANCE.md).
Job collective_job(const CollectiveCase& c, const catalog::Chip& chip);

}  // namespace traincost::bench
