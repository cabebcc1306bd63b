#pragma once

#include <vector>

#include <traincost/calibrate/load.hpp>

namespace traincost::calibrate {

/// ln(measured / trend) at the nodes of a box in log2 shape coordinates; linear between nodes, constant outside.
struct Grid {
  std::vector<std::vector<double>> axes;  // [coordinates][nodes], ascending; a single node switches a coordinate off
  std::vector<double> values;             // [nodes of axis 0, nodes of axis 1, ...]
};

std::size_t node_count(const Grid& grid);

/// Interpolated value; 0 for an empty grid.
double interpolate(const Grid& grid, const Coordinates& at);

/// Where a value lies among ascending nodes: 2.25 is a quarter of the way from nodes[2] to nodes[3]. The nearest end
/// outside.
double position(const std::vector<double>& nodes, double at);

struct Residual {
  Coordinates at;
  double value = 0;
  double share = 1;  // of a node's value that this residual feels
};

/// Node values that follow the residuals (robustly) and are as smooth as `smoothness` asks: a penalty on second
/// differences, so that a hole is bridged and an edge continued flat.
Grid fit_grid(const std::vector<std::vector<double>>& axes, const std::vector<Residual>& residuals, double smoothness);

}  // namespace traincost::calibrate
