#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/surface.hpp>

namespace traincost::calibrate {

/// What the timed chips have in common at one kind and format: medians of their trends, and the best of them.
struct Typical {
  double compute_efficiency = 0, memory_efficiency = 0;
  double best_compute_efficiency = 0;
};
Typical typical(const std::vector<Surface>& surfaces, Kind kind, work::Dtype dtype, const std::string& without = {});

/// A pool of `chips` chips, moved towards what is typical of all: the fewer chips, the less they tell of the next one.
Surface shrunk(Surface pool, std::size_t chips, const Typical& all);

/// Of the share of its dense rate that the donor's chips hold, what a chip of this power per FLOP/s holds. 1
/// where the power of one of them is unknown, and for the pool of chips with stacked memory, whose processes, and with
/// them the energy per operation, lie generations apart.
double sustained(const Surface& donor, double watts_per_flops, const Typical& all);

/// What is asked of a chip that holds this share of its rate.
Load slowed(Load load, double sustained);

}  // namespace traincost::calibrate
