#pragma once

#include <array>
#include <cstddef>

#include <traincost/calibrate/kind.hpp>

namespace traincost::calibrate {

/// The data-sheet figures that an operation can lean on.
struct Figures {
  double flops_per_s = 0;  // dense, of the element format
  double bytes_per_s = 0;  // memory
  double link_bytes_per_s = 0;
  double sm_count = 0;
  double exps_per_s = 0;       // of the special-function units; 0: unknown
  double l2_bytes = 0;         // 0: unknown, nothing stays in it
  double watts_per_flops = 0;  // data-sheet power over the dense rate; 0: unknown
};

inline constexpr std::size_t kCoordinates = 4;
using Coordinates = std::array<double, kCoordinates>;  // log2 of shape figures; unused ones 0

/// One way to cut the product into tiles: seconds at peak with its padding, waves over the SMs, rank of the tile
/// (0 = largest; smaller tiles reuse less and run slower).
struct Tiling {
  double seconds = 0, waves = 0;
  std::size_t rank = 0;
};
inline constexpr std::size_t kTileRanks = 4;

/// What one operation asks of a chip at the data-sheet rates.
struct Load {
  std::array<Tiling, 2 * kTileRanks - 1> tilings{};
  std::size_t tiling_count = 0;  // 0: no arithmetic worth the name
  double flops_s = 0;            // all arithmetic at peak, without padding: no timing can beat it
  double depth = 1;              // length of the inner loop, for the prologue of a tile
  double max_splits = 1;         // parts that the inner loop may be cut into when there are fewer tiles than SMs
  double bytes_s = 0;            // memory or link
  double cache_ratio = 0;        // bytes over the second-level cache's size; 0: none
  double cast_s = 0;             // one pass over the activation that the fp8 timings cast inside
  double launches = 1;           // steps of latency
  Coordinates at{};
  Coordinates cut{};    // log2 of the waves of tiles of 128 x 128, log2 of the depth; GEMMs only
  double sm_count = 0;  // that the waves go over
};

/// `with_cast`: the operation takes bf16 in and casts it itself, as the measured fp8 GEMMs do.
Load load(const work::Op& op, work::Dtype dtype, const Figures& figures, bool with_cast);

}  // namespace traincost::calibrate
