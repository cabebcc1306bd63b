#pragma once

#include <map>
#include <string>
#include <vector>

#include <traincost/calibrate/validation.hpp>
#include <traincost/cost/constants.hpp>
#include <traincost/cost/run_row.hpp>
#include <traincost/cost/step.hpp>

namespace traincost::cost {

struct Prediction {
  double value = 0;  // seconds per step, or GPU-hours of the run
  double log_sigma = 0;
};
/// Of a row that was not skipped.
Prediction predicted(const RunRow& row, const calibrate::ChipEfficiency& efficiency, const Constants& constants);

/// Every row predicted with the same constants.
calibrate::Validation validate_runs(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency,
                                    const Constants& constants = default_constants());

/// Every family predicted with constants fitted without it, beside the simplest honest rival: one MFU per
/// (chip, precision, kind), the median of the other families (of the same precision and kind, or of all, where the chip
/// has none).
struct CrossValidation {
  Constants fitted;  // to all families
  calibrate::Validation ours, one_mfu;
  double log_sigma = 0;  // of ln(reported / predicted), robust, over families held out: the model's own error
};
CrossValidation cross_validate(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency,
                               const Constants& start = {});

/// What results/calibration/step.json holds: the constants fitted to all rows, and the error of whole steps over
/// families held out in turn.
Constants calibrate_steps(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency);

}  // namespace traincost::cost
