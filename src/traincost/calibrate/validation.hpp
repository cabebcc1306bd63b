#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace traincost::calibrate {

/// A published figure beside the prediction of it, both in the row's own unit. Of `traincost validate`.
struct ValidationRow {
  std::string id, family;
  std::optional<double> predicted;  // nullopt: skipped
  std::optional<double> reported;   // nullopt: the row states none, so it is predicted but not scored
  std::string unit;
  std::optional<double> low, high;   // 5 % and 95 % quantile of what the figure should be
  std::vector<std::string> assumed;  // "micro_batch=1": defaults that blank fields took
  std::string skipped;               // why there is no prediction; empty otherwise
};

/// predicted / reported - 1; nullopt unless both are there and reported is positive.
std::optional<double> relative_error(const ValidationRow& row);

/// Unweighted, over the scored rows.
struct ErrorSummary {
  std::size_t n = 0;  // scored
  double median_abs_error = 0, mape = 0 /* mean |error| */, bias = 0 /* median error */;
  std::optional<double> coverage90;  // share of reported figures inside [low, high], of rows that have one
};

struct Validation {
  std::vector<ValidationRow> rows;  // one per input row, in file order
  ErrorSummary summary;
  std::size_t skipped = 0;
  std::map<std::string, ErrorSummary> by_family;
};

ErrorSummary summarise(const std::vector<ValidationRow>& rows);
Validation validation(std::vector<ValidationRow> rows);

}  // namespace traincost::calibrate
