#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/measure/row.hpp>

namespace traincost::calibrate {

/// One shape that two sources time differently.
struct Disagreement {
  measure::Row own;    // the fastest provider
  measure::Row other;  // the fastest of the rest
  [[nodiscard]] double ratio() const { return other.latency / own.latency; }
};

struct Preferred {
  std::vector<measure::Row> rows;
  std::vector<measure::Row> ratios;         // our attention, for the ratios of backward passes and narrow heads
  std::vector<Disagreement> disagreements;  // by more than kAgreement, the worst first
};
inline constexpr double kAgreement = 0.10;

/// Our own timings win on the chip that they were taken on: where one times a shape, other sources' timings of it are
/// left out, and listed if they differ. Of our own modes one is kept for each shape: CUDA graphs for decoding, which
/// launches bind, else cold (the order they are looked for in). Our backward passes and narrow heads are no points of a
/// surface of forward passes at 128. `published`: compared with, never fitted.
Preferred prefer_own(const std::vector<measure::Row>& rows, const std::vector<measure::Row>& published);

/// The surfaces of the chips of `own` moved to where these timings lie, smoothly and flat beyond their shapes: for a
/// card whose imported tables are not at hand. A chip or kind without a surface starts from its nearest sibling's; what
/// has no grid (streams) is fitted anew from five shapes on.
Efficiency refresh(const Efficiency& base, const Preferred& own, const std::vector<catalog::Chip>& chips);

}  // namespace traincost::calibrate
