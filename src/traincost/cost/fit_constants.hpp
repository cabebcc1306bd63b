#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <traincost/cost/constants.hpp>
#include <traincost/cost/run_row.hpp>

namespace traincost::cost {

/// Fits the shared constants to the reported steps of `rows` (skipped and unscored ones left out): least squares of
/// ln(predicted / reported) with a robust loss; a row of a family of n rows weighs 1 / sqrt(n), so that a large table
/// does not drown the others; a weak pull towards `start` decides what no row exercises.
Constants fit_constants(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency,
                        const Constants& start, int iterations = 12);

/// {"compute_slowdown": 1.08, ...}; the inverse throws InputError on an unknown, missing or impossible constant.
std::string to_json(const Constants& constants);
Constants constants_from_json(std::string_view json, const std::string& origin);

}  // namespace traincost::cost
