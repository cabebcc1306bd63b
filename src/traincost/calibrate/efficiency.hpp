#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/measure/row.hpp>
#include <traincost/units/quantity.hpp>
#include <traincost/work/op.hpp>

namespace traincost::calibrate {

/// Where a time comes from: rows of that chip, rows of a sibling scaled by data-sheet ratios, data sheet alone.
enum class Origin { measured, transferred, datasheet };
std::string_view to_string(Origin origin);

/// Predicted time of one operation. `log_sigma`: standard deviation of ln(real / predicted), from residuals, providers'
/// spread and transfer error.
struct Timing {
  units::Seconds seconds;
  double log_sigma = 0;
  Origin origin = Origin::measured;
  work::Dtype dtype_used = work::Dtype::bf16;  // differs from the one asked for on fallback (fp8 on an A100: bf16)
};

/// The surfaces of one chip, looked up once so that `time` is cheap (the layout search calls it millions of times).
class ChipEfficiency {
 public:
  /// Collectives and MoeExchange: within the scale-up domain, over the chip's own link.
  /// Throws InputError when the chip lacks the data-sheet figure that the operation needs.
  [[nodiscard]] Timing time(const work::Op& op, work::Dtype dtype) const;

  /// Which timings stand behind `time`: "gemm fp8_block of h100-sxm5-80gb, 815 shapes".
  [[nodiscard]] std::string source(const work::Op& op, work::Dtype dtype) const;

  struct Surfaces;
  explicit ChipEfficiency(std::shared_ptr<const Surfaces> surfaces) : surfaces_(std::move(surfaces)) {}

 private:
  std::shared_ptr<const Surfaces> surfaces_;
};

/// Fitted surfaces of every (op, dtype, chip) with rows. Immutable.
class Efficiency {
 public:
  /// The chip's own surfaces; else its architecture's, scaled by peak and bandwidth; else the pooled ones.
  [[nodiscard]] ChipEfficiency on(const catalog::Chip& chip) const;

  struct Fitted;
  explicit Efficiency(std::shared_ptr<const Fitted> fitted) : fitted_(std::move(fitted)) {}
  [[nodiscard]] const Fitted& fitted() const { return *fitted_; }

 private:
  std::shared_ptr<const Fitted> fitted_;
};

/// Fits all surfaces. Rows with an unresolved chip are left out.
Efficiency fit(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips);

/// The shipped results/calibration/default.json, embedded at build time.
const Efficiency& default_efficiency();

std::string to_json(const Efficiency& efficiency);
Efficiency from_json(std::string_view json, const std::string& origin);  // throws InputError

}  // namespace traincost::calibrate
