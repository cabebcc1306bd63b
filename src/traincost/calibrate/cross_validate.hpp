#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/fit.hpp>

namespace traincost::calibrate {

/// Error of predictions that have not seen what they predict: |predicted / truth - 1|, truth = merged latency of the
/// shape (fastest provider). Baseline: one constant per (kind, format) on the roofline max(FLOPs / peak, bytes / rate),
/// fitted on the same training timings.
struct Score {
  Kind kind = Kind::gemm;
  work::Dtype dtype = work::Dtype::bf16;
  std::string chip;
  std::string from;  // leave-one-GPU-out: "sibling <chip>" or "pool"
  std::size_t shapes = 0;
  double median = 0, p90 = 0, baseline_median = 0;
  double second_median = 0;  // |next fastest provider / truth - 1| of the same shapes, where there is one; 0: nowhere
};

/// Holds out whole weight shapes (n, k) of a GEMM, (heads, kv heads, sequence) of attention and decoding, (hidden,
/// width, experts) of an expert product, sizes of the rest, in five folds (ten for
/// groups of under 5,000 shapes); trend and grid are fitted anew for each.
std::vector<Score> leave_shapes_out(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                    const Progress& progress);

/// Each chip from the others' timings, as on() would give a chip without rows.
std::vector<Score> leave_chip_out(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                  const Progress& progress);

/// The truths of these chips only.
Truths among(const Truths& truths, const std::vector<std::string>& chips);

}  // namespace traincost::calibrate
