#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/validation.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {

/// A way of predicting beside ours: "one fitted MFU per chip, precision and kind".
struct NamedErrors {
  std::string name;
  calibrate::ErrorSummary errors;
};

/// The errors as a table by family, every row as CSV, or all of it as JSON:
/// {"rows": [...], "summary": {...}}; `others` are printed beside the summary.
std::string validation(const calibrate::Validation& validation, const std::vector<NamedErrors>& others, Format format);

/// Errors by family, all families last.
Table errors_table(const calibrate::Validation& validation, const std::vector<NamedErrors>& others);

}  // namespace traincost::report
