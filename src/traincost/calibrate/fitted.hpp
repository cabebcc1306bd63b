#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/calibrate/surface.hpp>

namespace traincost::calibrate {

/// A chip with rows: what on() needs to choose the nearest sibling.
struct Donor {
  std::string chip, arch, pool;
  double bf16_flops_per_s = 0, bytes_per_s = 0;
};

/// Achieved rate of a variant over that of the form that the tables time, on one architecture (empty: all).
struct Ratio {
  std::string name;  // kBackward, ...
  std::string arch;
  double value = 1, log_sigma = 0;
  std::size_t rows = 0;
};
inline constexpr const char* kBackward = "attention_backward";  // backward FLOP/s over forward FLOP/s
inline constexpr const char* kBackwardMla = "attention_mla_backward";
inline constexpr const char* kForwardFp8 = "attention_forward_fp8";  // training's one-byte kernels over the tables'
inline constexpr const char* kForwardFp8Mla = "attention_mla_forward_fp8";
inline constexpr const char* kForwardMx = "attention_forward_mxfp8";  // a scale per 32 values, not per tensor
inline constexpr const char* kForwardMxMla = "attention_mla_forward_mxfp8";
inline constexpr const char* kHeadDim64 = "attention_head_dim_64";  // FLOP/s at 64 over that at 128

/// Standard deviation of ln(real / predicted) when the surface comes from elsewhere.
struct TransferError {
  Kind kind = Kind::gemm;
  double sibling_sigma = 0, pooled_sigma = 0;
};

struct Efficiency::Fitted {
  std::vector<Donor> donors;
  std::vector<Surface> surfaces;  // a chip's own, and kPooled
  std::vector<Ratio> ratios;
  std::vector<TransferError> transfers;
};

const Surface* find_surface(const Efficiency::Fitted& fitted, Kind kind, work::Dtype dtype, const std::string& chip);
const Ratio* find_ratio(const Efficiency::Fitted& fitted, const std::string& name, const std::string& arch);

/// Formats whose surface stands in for `dtype`, itself first: a rate relative to the peak carries over best to the
/// closest kernel.
std::vector<work::Dtype> stand_ins(work::Dtype dtype);

/// The surface that a chip is given, and how far it comes.
struct Choice {
  const Surface* surface = nullptr;  // nullptr: no timing of the kind anywhere
  work::Dtype dtype = work::Dtype::bf16;
  enum class From { own, sibling, pool } from = From::own;
};
Choice choose(const Efficiency::Fitted& fitted, const Donor& chip, Kind kind, work::Dtype dtype);

/// ln distance of two chips by arithmetic and memory rates.
double distance(const Donor& a, const Donor& b);
Donor as_donor(const catalog::Chip& chip);

/// Chips of the architecture and pool with a surface of that kind and format, nearest first.
std::vector<const Surface*> siblings(const Efficiency::Fitted& fitted, Kind kind, work::Dtype dtype, const Donor& chip);

}  // namespace traincost::calibrate
