#include <vector>

#include <traincost/catalog/chip.hpp>

namespace traincost::catalog {
namespace {

using work::Dtype;

struct Candidate {
  Dtype used;
  std::optional<units::FlopsPerSecond> Chip::*figure;
};

/// What `dtype` runs as, best first.
std::vector<Candidate> candidates(Dtype dtype) {
  const Candidate bf16{Dtype::bf16, &Chip::bf16_dense_flops};
  const Candidate fp16{Dtype::fp16, &Chip::fp16_dense_flops};
  const Candidate fp8{Dtype::fp8, &Chip::fp8_dense_flops};
  switch (dtype) {
    case Dtype::fp32:
      return {};  // no data sheet column: training GEMMs run as tf32 or narrower
    case Dtype::tf32:
      return {{dtype, &Chip::tf32_dense_flops}};
    case Dtype::bf16:
      return {bf16, fp16};
    case Dtype::fp16:
      return {fp16, bf16};
    case Dtype::fp8:
    case Dtype::fp8_block:
    case Dtype::mxfp8:
      return {{dtype, &Chip::fp8_dense_flops}, bf16, fp16};
    case Dtype::int8:
      return {{dtype, &Chip::int8_dense_ops}};
    case Dtype::nvfp4:
      return {{dtype, &Chip::fp4_dense_flops}, fp8, bf16, fp16};
  }
  return {};
}

}  // namespace

std::optional<Rate> rate(const Chip& chip, work::Dtype dtype) {
  for (const Candidate& candidate : candidates(dtype)) {
    if (const auto& figure = chip.*candidate.figure) return Rate{.flops_per_s = *figure, .used = candidate.used};
  }
  return std::nullopt;
}

}  // namespace traincost::catalog
