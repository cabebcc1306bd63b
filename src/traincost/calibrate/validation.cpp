#include <traincost/calibrate/validation.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace traincost::calibrate {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

bool is_covered(const ValidationRow& row) {
  return row.low && row.high && row.reported && *row.low <= *row.reported && *row.reported <= *row.high;
}

}  // namespace

std::optional<double> relative_error(const ValidationRow& row) {
  if (!row.predicted || !row.reported || *row.reported <= 0) return std::nullopt;
  return *row.predicted / *row.reported - 1;
}

ErrorSummary summarise(const std::vector<ValidationRow>& rows) {
  std::vector<double> errors, sizes;
  std::size_t covered = 0, bounded = 0;
  for (const auto& row : rows) {
    const auto error = relative_error(row);
    if (!error) continue;
    errors.push_back(*error);
    sizes.push_back(std::abs(*error));
    covered += is_covered(row) ? 1 : 0;
    bounded += row.low && row.high ? 1 : 0;
  }
  if (errors.empty()) return {};
  ErrorSummary out{.n = errors.size(), .median_abs_error = median(sizes), .mape = mean(sizes), .bias = median(errors)};
  if (bounded > 0) out.coverage90 = static_cast<double>(covered) / static_cast<double>(bounded);
  return out;
}

Validation validation(std::vector<ValidationRow> rows) {
  std::map<std::string, std::vector<ValidationRow>> families;
  for (const auto& row : rows) families[row.family].push_back(row);
  Validation out{.summary = summarise(rows)};
  for (const auto& [family, members] : families) out.by_family[family] = summarise(members);
  out.skipped =
      static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const auto& row) { return !row.predicted; }));
  out.rows = std::move(rows);
  return out;
}

}  // namespace traincost::calibrate
