#pragma once

#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/calibrate/validation.hpp>
#include <traincost/catalog/chip.hpp>
#include <traincost/measure/csv.hpp>

namespace traincost::cost {

/// Predicts each row of a table of published kernel figures (the columns of results/published/kernels.csv) in the row's
/// own metric and unit. One output row per input row, in file order; value, note and id decide nothing.
calibrate::Validation validate_kernels(const measure::CsvTable& table, const std::vector<catalog::Chip>& chips,
                                       const calibrate::Efficiency& efficiency);

}  // namespace traincost::cost
