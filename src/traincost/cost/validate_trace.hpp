#pragma once

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/calibrate/validation.hpp>
#include <traincost/measure/csv.hpp>

namespace traincost::cost {

/// DeepSeek's own trace of one pair of forward and backward chunks, 4 layers with experts of DeepSeek-V3 on H800 at
/// EP64 and 4,096 tokens a micro-batch (columns kernel, stream, total_ms), beside this model's times, in ms: a row for
/// each class of kernels and one for the pair. Kernels that wait for others (notify) are left out. Throws InputError
/// when a column is missing.
calibrate::Validation validate_trace(const measure::CsvTable& trace, const calibrate::Efficiency& efficiency);

}  // namespace traincost::cost
