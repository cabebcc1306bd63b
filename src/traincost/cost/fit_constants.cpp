#include <traincost/cost/fit_constants.hpp>

#include <ceres/ceres.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <memory>

#include <traincost/cost/step.hpp>
#include <traincost/cost/validate_runs.hpp>

namespace traincost::cost {
namespace {

constexpr double kOutlierWidth = 0.08;  // beyond 8 % a row counts less and less: what it shows is not in the model
constexpr double kPull = 0.05;          // weight of the start, in units of a constant's possible range
constexpr int kThreads = 2;

Constants at(const Constants& base, const double* x) {
  Constants c = base;
  for (const auto& field : constant_fields()) c.*field.member = *x++;
  return c;
}

struct RowResidual {
  const RunRow* row;
  calibrate::ChipEfficiency efficiency;
  Constants base;
  double weight;

  bool operator()(const double* const* x, double* residual) const {
    residual[0] = weight * std::log(predicted(*row, efficiency, at(base, x[0])).value / *row->reported);
    return std::isfinite(residual[0]);
  }
};

struct Pull {
  std::vector<double> start;

  bool operator()(const double* const* x, double* residual) const {
    const auto& fields = constant_fields();
    for (std::size_t i = 0; i < fields.size(); ++i)
      residual[i] = kPull * (x[0][i] - start[i]) / (0.25 * (fields[i].high - fields[i].low));
    return true;
  }
};

template <class Functor>
ceres::CostFunction* numeric(Functor functor, int residuals) {
  ceres::NumericDiffOptions options;
  options.relative_step_size = 1e-3;  // the simulated schedule is piecewise linear: small steps see only its noise
  auto* cost = new ceres::DynamicNumericDiffCostFunction<Functor, ceres::FORWARD>(new Functor(std::move(functor)),
                                                                                  ceres::TAKE_OWNERSHIP, options);
  cost->AddParameterBlock(static_cast<int>(constant_fields().size()));
  cost->SetNumResiduals(residuals);
  return cost;
}

}  // namespace

Constants fit_constants(const std::vector<RunRow>& rows, const calibrate::Efficiency& efficiency,
                        const Constants& start, int iterations) {
  const auto& fields = constant_fields();
  std::vector<double> x;
  for (const auto& field : fields) x.push_back(start.*field.member);
  std::map<std::string, double> family_size;
  const auto is_used = [](const RunRow& row) { return row.job && row.reported && *row.reported > 0; };
  for (const auto& row : rows)
    if (is_used(row)) family_size[row.family] += 1;

  ceres::Problem problem;
  for (const auto& row : rows)
    if (is_used(row))
      problem.AddResidualBlock(numeric(RowResidual{.row = &row,
                                                   .efficiency = efficiency.on(row.job->chip),
                                                   .base = start,
                                                   .weight = 1 / std::sqrt(family_size[row.family])},
                                       1),
                               new ceres::CauchyLoss(kOutlierWidth / std::sqrt(family_size[row.family])), x.data());
  problem.AddResidualBlock(numeric(Pull{x}, static_cast<int>(fields.size())), nullptr, x.data());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    problem.SetParameterLowerBound(x.data(), static_cast<int>(i), fields[i].low);
    problem.SetParameterUpperBound(x.data(), static_cast<int>(i), fields[i].high);
  }
  ceres::Solver::Options options;
  options.max_num_iterations = iterations;
  options.num_threads = kThreads;
  options.linear_solver_type = ceres::DENSE_QR;
  options.logging_type = ceres::SILENT;
  ceres::Solver::Summary summary;
  ceres::Solve(options, &problem, &summary);
  return at(start, x.data());
}

}  // namespace traincost::cost
