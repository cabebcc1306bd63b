#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <traincost/report/number.hpp>
#include <traincost/report/validation.hpp>

namespace traincost::report {
namespace {

using calibrate::ErrorSummary;
using calibrate::Validation;
using Json = nlohmann::ordered_json;

template <class T>
Json known(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json rows_json(const Validation& v) {
  Json rows = Json::array();
  for (const auto& row : v.rows)
    rows.push_back({{"id", row.id},
                    {"predicted", known(row.predicted)},
                    {"reported", known(row.reported)},
                    {"unit", row.unit},
                    {"error", known(calibrate::relative_error(row))},
                    {"low", known(row.low)},
                    {"high", known(row.high)},
                    {"assumed", row.assumed},
                    {"skipped", row.skipped.empty() ? Json(nullptr) : Json(row.skipped)}});
  return rows;
}

Json errors_json(const ErrorSummary& e) {
  return {{"n", e.n},
          {"median_abs_error", e.median_abs_error},
          {"mape", e.mape},
          {"bias", e.bias},
          {"coverage90", known(e.coverage90)}};
}

std::string json_text(const Validation& v, const std::vector<NamedErrors>& others) {
  Json summary{{"n", v.summary.n},           {"skipped", v.skipped},   {"median_abs_error", v.summary.median_abs_error},
               {"mape", v.summary.mape},     {"bias", v.summary.bias}, {"coverage90", known(v.summary.coverage90)},
               {"by_family", Json::object()}};
  for (const auto& [family, errors] : v.by_family) summary["by_family"][family] = errors_json(errors);
  Json out{{"rows", rows_json(v)}, {"summary", summary}};
  if (!others.empty()) out["others"] = Json::object();
  for (const auto& other : others) out["others"][other.name] = errors_json(other.errors);
  return out.dump(1) + "\n";
}

Table rows_table(const Validation& v) {
  Table table{.columns = {{"id", ""},
                          {"family", ""},
                          {"predicted", ""},
                          {"reported", ""},
                          {"unit", ""},
                          {"error", ""},
                          {"low", ""},
                          {"high", ""},
                          {"assumed", ""},
                          {"skipped", ""}}};
  for (const auto& row : v.rows)
    table.rows.push_back({row.id, row.family, cell(row.predicted), cell(row.reported), row.unit,
                          cell(calibrate::relative_error(row)), cell(row.low), cell(row.high),
                          joined(row.assumed, "; "), row.skipped});
  return table;
}

std::vector<Cell> errors_row(const std::string& name, const ErrorSummary& e) {
  if (e.n == 0) return {name, 0.0, Cell{}, Cell{}, Cell{}, Cell{}};
  return {name, static_cast<double>(e.n), e.median_abs_error, e.mape, e.bias, cell(e.coverage90)};
}

}  // namespace

Table errors_table(const Validation& v, const std::vector<NamedErrors>& others) {
  constexpr double kPercent = 0.01;
  Table table{.columns = {{"family", "family"},
                          {"n", "rows"},
                          {"median_abs_error", "median error %", kPercent, 1},
                          {"mape", "mean error %", kPercent, 1},
                          {"bias", "bias %", kPercent, 1},
                          {"coverage90", "inside the 90 % interval, %", kPercent, 0}}};
  for (const auto& [family, errors] : v.by_family) table.rows.push_back(errors_row(family, errors));
  table.rows.push_back(errors_row("all", v.summary));
  for (const auto& other : others) table.rows.push_back(errors_row(other.name, other.errors));
  return table;
}

std::string validation(const Validation& v, const std::vector<NamedErrors>& others, Format format) {
  if (format == Format::json) return json_text(v, others);
  if (format == Format::csv) return csv(rows_table(v));
  return fmt::format("{}\n{} rows, {} predicted and scored, {} skipped\n", aligned(errors_table(v, others)),
                     v.rows.size(), v.summary.n, v.skipped);
}

}  // namespace traincost::report
