#include <traincost/calibrate/grid.hpp>

#include <Eigen/Sparse>
#include <algorithm>
#include <cmath>

namespace traincost::calibrate {
namespace {

constexpr double kOutlier = 0.05;   // ln residual from which a timing counts less (pseudo-Huber)
constexpr double kFlatness = 0.02;  // penalty on first differences: an unsupported edge continues flat
constexpr double kRidge = 1e-6;     // a node without any support stays at the trend
constexpr int kRounds = 4;          // of re-weighting

using Matrix = Eigen::SparseMatrix<double>;
using Triplets = std::vector<Eigen::Triplet<double>>;

struct Cell {
  std::size_t below = 0;
  double share = 0;  // of the node above
};

Cell locate(const std::vector<double>& nodes, double at) {
  if (nodes.size() < 2 || at <= nodes.front()) return {0, 0};
  if (at >= nodes.back()) return {nodes.size() - 2, 1};
  const auto i = static_cast<std::size_t>(std::ranges::upper_bound(nodes, at) - nodes.begin()) - 1;
  return {i, (at - nodes[i]) / (nodes[i + 1] - nodes[i])};
}

// Calls visit(node, weight) for the corners of the cell that holds `at`.
template <class Visit>
void visit_corners(const std::vector<std::vector<double>>& axes, const Coordinates& at, Visit visit) {
  std::array<Cell, kCoordinates> cells;
  const std::size_t dimensions = axes.size();
  for (std::size_t d = 0; d < dimensions; ++d) cells[d] = locate(axes[d], at[d]);
  for (std::size_t corner = 0; corner < (std::size_t{1} << dimensions); ++corner) {
    double weight = 1;
    std::size_t node = 0;
    for (std::size_t d = 0; d < dimensions; ++d) {
      const bool above = (corner >> d) & 1U;
      weight *= above ? cells[d].share : 1 - cells[d].share;
      node = node * axes[d].size() + cells[d].below + (above && axes[d].size() > 1 ? 1 : 0);
    }
    if (weight != 0) visit(node, weight);
  }
}

// Adds weight * D^T D of one row D = sum coefficient[i] e[node[i]].
template <std::size_t n>
void add_outer(Triplets& triplets, const std::array<std::size_t, n>& nodes, const std::array<double, n>& coefficients,
               double weight) {
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      triplets.emplace_back(static_cast<int>(nodes[i]), static_cast<int>(nodes[j]),
                            weight * coefficients[i] * coefficients[j]);
}

// Penalties along one axis for the line of nodes that starts at `first` with the given stride.
void add_line(Triplets& triplets, const std::vector<double>& x, std::size_t first, std::size_t stride,
              double smoothness) {
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    const std::size_t a = first + i * stride, b = a + stride;
    const double h = x[i + 1] - x[i];
    add_outer<2>(triplets, {a, b}, {-1, 1}, kFlatness / h);
    if (i + 2 == x.size()) break;
    const double next = x[i + 2] - x[i + 1], mean = (h + next) / 2;
    add_outer<3>(triplets, {a, b, b + stride}, {1 / h, -1 / h - 1 / next, 1 / next}, smoothness / mean);
  }
}

Matrix penalty(const std::vector<std::vector<double>>& axes, std::size_t nodes, double smoothness) {
  Triplets triplets;
  std::size_t stride = nodes;
  for (const auto& axis : axes) {
    stride /= axis.size();
    for (std::size_t node = 0; node < nodes; ++node)
      if (node / stride % axis.size() == 0) add_line(triplets, axis, node, stride, smoothness);
  }
  for (std::size_t node = 0; node < nodes; ++node) triplets.emplace_back(int(node), int(node), kRidge);
  Matrix p(static_cast<int>(nodes), static_cast<int>(nodes));
  p.setFromTriplets(triplets.begin(), triplets.end());
  return p;
}

}  // namespace

std::size_t node_count(const Grid& grid) {
  std::size_t count = 1;
  for (const auto& axis : grid.axes) count *= axis.size();
  return count;
}

double interpolate(const Grid& grid, const Coordinates& at) {
  if (grid.values.empty()) return 0;
  double sum = 0;
  visit_corners(grid.axes, at, [&](std::size_t node, double weight) { sum += weight * grid.values[node]; });
  return sum;
}

double position(const std::vector<double>& nodes, double at) {
  const auto cell = locate(nodes, at);
  return static_cast<double>(cell.below) + cell.share;
}

Grid fit_grid(const std::vector<std::vector<double>>& axes, const std::vector<Residual>& residuals, double smoothness) {
  Grid grid{.axes = axes, .values = {}};
  const std::size_t nodes = node_count(grid);
  const auto rows = static_cast<int>(residuals.size());
  Triplets triplets;
  Eigen::VectorXd y(rows), weight = Eigen::VectorXd::Ones(rows);
  for (int i = 0; i < rows; ++i) {
    const auto& r = residuals[static_cast<std::size_t>(i)];
    y[i] = r.value;
    visit_corners(axes, r.at,
                  [&](std::size_t node, double w) { triplets.emplace_back(i, static_cast<int>(node), r.share * w); });
  }
  Matrix basis(rows, static_cast<int>(nodes));
  basis.setFromTriplets(triplets.begin(), triplets.end());
  const Matrix prior = penalty(axes, nodes, smoothness);
  Eigen::VectorXd values = Eigen::VectorXd::Zero(static_cast<int>(nodes));
  Eigen::SimplicialLDLT<Matrix> solver;
  for (int round = 0; round < kRounds; ++round) {
    const Matrix normal = Matrix(basis.transpose() * weight.asDiagonal() * basis) + prior;
    if (round == 0) solver.analyzePattern(normal);
    solver.factorize(normal);
    values = solver.solve(basis.transpose() * (weight.asDiagonal() * y));
    weight = (1 + ((y - basis * values) / kOutlier).array().square()).rsqrt();
  }
  grid.values.assign(values.data(), values.data() + values.size());
  return grid;
}

}  // namespace traincost::calibrate
