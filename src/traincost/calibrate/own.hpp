#pragma once

#include <string>
#include <vector>

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
  std::vector<Disagreement> disagreements;  // by more than kAgreement, the worst first
};
inline constexpr double kAgreement = 0.10;

/// Our own timings win on the chip that they were taken on: where one times a shape, other sources' timings of it are left
/// out, and listed if they differ. Of our own modes one is kept for each shape: CUDA graphs for decoding, which launches
/// bind, else cold (the order they are looked for in). `published`: compared with, never fitted.
Preferred prefer_own(std::vector<measure::Row> rows, const std::vector<measure::Row>& published);

}  // namespace traincost::calibrate
