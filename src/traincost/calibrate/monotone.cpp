#include <traincost/calibrate/monotone.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace traincost::calibrate {
namespace {

// Isotonic least squares of one line of values, in place.
void pool_adjacent_violators(std::vector<double>& values) {
  struct Block {
    double mean;
    std::size_t size;
  };
  std::vector<Block> blocks;
  for (double v : values) {
    blocks.push_back({v, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean > blocks.back().mean) {
      const auto last = blocks.back();
      blocks.pop_back();
      auto& b = blocks.back();
      const auto size = b.size + last.size;
      b.mean = (b.mean * static_cast<double>(b.size) + last.mean * static_cast<double>(last.size)) /
               static_cast<double>(size);
      b.size = size;
    }
  }
  std::size_t at = 0;
  for (const auto& b : blocks)
    for (std::size_t i = 0; i < b.size; ++i) values[at++] = b.mean;
}

Coordinates coordinates_of(const Grid& grid, std::size_t node) {
  Coordinates at{};
  for (std::size_t d = grid.axes.size(); d-- > 0; node /= grid.axes[d].size())
    at[d] = grid.axes[d][node % grid.axes[d].size()];
  return at;
}

// ln of the trend at every node, without the cast that no training step pays inside its GEMM.
std::vector<double> log_trend(const Surface& s, const Figures& figures) {
  std::vector<double> out(s.grid.values.size());
  for (std::size_t node = 0; node < out.size(); ++node) {
    if (const auto op = op_at(s.kind, coordinates_of(s.grid, node)))
      out[node] = std::log(seconds(s.trend, load(*op, s.dtype, figures, false)));
  }
  return out;
}

void sort_axis(Grid& grid, const std::vector<double>& trend, std::size_t axis) {
  std::size_t stride = 1;
  for (std::size_t d = axis + 1; d < grid.axes.size(); ++d) stride *= grid.axes[d].size();
  const std::size_t length = grid.axes[axis].size();
  std::vector<double> line(length);
  for (std::size_t first = 0; first < grid.values.size(); ++first) {
    if (first / stride % length != 0) continue;
    for (std::size_t i = 0; i < length; ++i) line[i] = trend[first + i * stride] + grid.values[first + i * stride];
    pool_adjacent_violators(line);
    for (std::size_t i = 0; i < length; ++i) grid.values[first + i * stride] = line[i] - trend[first + i * stride];
  }
}

}  // namespace

std::optional<work::Op> op_at(Kind kind, const Coordinates& at) {
  if (kind == Kind::gemm) return work::Gemm{.m = std::exp2(at[0]), .n = std::exp2(at[1]), .k = std::exp2(at[2])};
  if (kind == Kind::moe_mlp)
    return work::MoeMlp{.rows = std::exp2(at[0] + at[1]),
                        .num_experts = std::exp2(at[1]),
                        .hidden = std::exp2(at[2]),
                        .width = std::exp2(at[3])};
  return std::nullopt;
}

void make_monotone(Surface& surface, const Figures& figures) {
  if (!op_at(surface.kind, {}) || surface.grid.values.empty()) return;
  const auto trend = log_trend(surface, figures);
  constexpr int kSweeps = 4;  // one axis may undo another: a few rounds settle all but the last per cent
  for (int sweep = 0; sweep < kSweeps; ++sweep)
    for (std::size_t axis = 0; axis < surface.grid.axes.size(); ++axis) sort_axis(surface.grid, trend, axis);
}

void make_monotone(Grid& profile, const Trend& trend) {
  const auto& waves = profile.axes.front();
  const std::size_t lines = profile.values.size() / waves.size();
  for (std::size_t line = 0; line < lines; ++line) {
    const auto log_seconds = [&](std::size_t node) {
      return waves[node] * std::numbers::ln2 + std::log(quantised(trend, std::exp2(waves[node]))) +
             profile.values[node * lines + line];
    };
    double least = std::numeric_limits<double>::infinity();  // of the nodes from `twice` on
    for (std::size_t node = waves.size(), twice = node; node-- > 0;) {
      for (; twice > 0 && waves[twice - 1] >= waves[node] + 1; --twice) least = std::min(least, log_seconds(twice - 1));
      profile.values[node * lines + line] -= std::max(0.0, log_seconds(node) - least);
    }
  }
}

}  // namespace traincost::calibrate
