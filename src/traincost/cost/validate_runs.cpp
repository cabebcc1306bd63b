#include <traincost/cost/validate_runs.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <traincost/cost/fit_constants.hpp>
#include <traincost/cost/goodput.hpp>
#include <traincost/cost/run_budget.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using calibrate::ValidationRow;

// ln-spread that a blank field adds, in quadrature; rows that state everything but one differ by about this much.
constexpr double kAssumedLogSigma = 0.04;

ValidationRow output_row(const RunRow& row) {
  return {.id = row.id,
          .family = row.family,
          .reported = row.reported,
          .unit = row.in_gpu_hours ? "GPU-hours" : "s",
          .assumed = row.assumed,
          .skipped = row.skipped};
}

ValidationRow predict_row(const RunRow& row, const calibrate::Efficiency& efficiency, const Constants& constants) {
  ValidationRow out = output_row(row);
  if (!row.job) return out;
  try {
    const auto p = predicted(row, efficiency.on(row.job->chip), constants);
    const double sigma = std::hypot(p.log_sigma, kAssumedLogSigma * std::sqrt(static_cast<double>(row.assumed.size())));
    const auto interval = log_normal(p.value, sigma);
    out.predicted = interval.p50;
    out.low = interval.p5;
    out.high = interval.p95;
  } catch (const InputError& error) {
    out.skipped = error.what();
  }
  return out;
}

constexpr int kRefits = 3;  // iterations from the fit to all families, which one family moves little

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Model FLOPs over what the chips could do in the reported time.
struct Mfu {
  const RunRow* row;
  double ideal_seconds;  // at an MFU of 1
  double mfu;
};

std::vector<Mfu> mfus(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency) {
  std::vector<Mfu> result;
  for (const auto& row : rows) {
    if (!row.job || !row.reported) continue;
    const auto cost = step(*row.job, efficiency.on(row.job->chip));
    const double unit = predicted(row, efficiency.on(row.job->chip), default_constants()).value / cost.seconds.p50;
    const double ideal = cost.mfu * cost.seconds.p50 * unit;
    result.push_back({&row, ideal, ideal / *row.reported});
  }
  return result;
}

double fitted_mfu(const std::vector<Mfu>& all, const RunRow& target) {
  const auto of = [&](auto&& matches) {
    std::vector<double> values;
    for (const auto& m : all)
      if (m.row->family != target.family && matches(*m.row)) values.push_back(m.mfu);
    return values;
  };
  const auto alike = [&](const RunRow& r) { return r.precision == target.precision && r.kind == target.kind; };
  auto values = of([&](const RunRow& r) { return alike(r) && r.job->chip.id == target.job->chip.id; });
  if (values.empty()) values = of(alike);
  if (values.empty()) values = of([](const RunRow&) { return true; });
  return values.empty() ? 0.4 : median(values);
}

calibrate::Validation one_mfu(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency) {
  const auto all = mfus(rows, efficiency);
  std::map<const RunRow*, double> seconds;
  for (const auto& m : all) seconds[m.row] = m.ideal_seconds / fitted_mfu(all, *m.row);
  std::vector<ValidationRow> out;
  for (const auto& row : rows) {
    out.push_back(output_row(row));
    if (const auto found = seconds.find(&row); found != seconds.end()) out.back().predicted = found->second;
  }
  return calibrate::validation(std::move(out));
}

// Half of the central 90 % of the log errors, as a standard deviation.
double robust_log_sigma(const calibrate::Validation& validation) {
  std::vector<double> errors;
  for (const auto& row : validation.rows)
    if (const auto error = calibrate::relative_error(row)) errors.push_back(std::abs(std::log1p(*error)));
  if (errors.empty()) return 0;
  std::sort(errors.begin(), errors.end());
  return errors[static_cast<std::size_t>(0.9 * static_cast<double>(errors.size() - 1))] / kZ95;
}

}  // namespace

Prediction predicted(const RunRow& row, const calibrate::ChipEfficiency& efficiency, const Constants& constants) {
  const auto cost = step(*row.job, efficiency, constants);
  double value = cost.seconds.p50;
  if (row.in_gpu_hours) {
    const auto& l = row.job->layout;
    value *= steps(l, row.tokens) * l.gpus / goodput(l.gpus) / units::kHour.value;
  }
  return {value, cost.log_sigma};
}

calibrate::Validation validate_runs(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency,
                                    const Constants& constants) {
  std::vector<ValidationRow> out;
  for (const auto& row : rows) out.push_back(predict_row(row, efficiency, constants));
  return calibrate::validation(std::move(out));
}

CrossValidation cross_validate(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency,
                               const Constants& start) {
  std::set<std::string> families;
  for (const auto& row : rows)
    if (row.job && row.reported) families.insert(row.family);
  std::map<std::string, Constants> without;
  const Constants all = fit_constants(rows, efficiency, start);
  for (const auto& family : families) {
    std::vector<RunRow> others;
    for (const auto& row : rows)
      if (row.family != family) others.push_back(row);
    without[family] = fit_constants(others, efficiency, all, kRefits);
  }
  std::vector<ValidationRow> out;
  for (const auto& row : rows)
    out.push_back(predict_row(row, efficiency, without.contains(row.family) ? without.at(row.family) : all));
  CrossValidation result{
      .fitted = all, .ours = calibrate::validation(std::move(out)), .one_mfu = one_mfu(rows, efficiency)};
  result.log_sigma = robust_log_sigma(result.ours);
  return result;
}

Constants calibrate_steps(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency) {
  const auto crossed = cross_validate(rows, efficiency);
  Constants constants = crossed.fitted;
  constants.step_log_sigma = crossed.log_sigma;
  return constants;
}

}  // namespace traincost::cost
