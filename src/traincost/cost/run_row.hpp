#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/job.hpp>
#include <traincost/measure/csv.hpp>

namespace traincost::cost {

/// A published run as a job: everything from the row's configuration columns, nothing from its name or its result.
struct RunRow {
  std::string id, family, precision, kind, tier;
  std::optional<Job> job;            // nullopt: skipped
  std::string skipped;               // why
  std::vector<std::string> assumed;  // "vocab=51200": blank fields and their defaults
  bool in_gpu_hours = false;         // the row reports a whole run
  double tokens = 0;                 // of the whole run, if so
  std::optional<double> reported;    // seconds per step, or GPU-hours
};

/// Reads a table with the columns of published runs (results/published/runs.csv). Never fails on a row: an impossible
/// one is skipped with its reason. Throws InputError when the file lacks the column `id`.
std::vector<RunRow> run_rows(const measure::CsvTable& table, const calibrate::Efficiency& efficiency);

}  // namespace traincost::cost
