#pragma once

#include <map>
#include <string>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/measure/row.hpp>

namespace traincost::measure {

struct Quarantined {
  Row row;
  std::string reason;
};

/// Rows that can be true, and those that cannot, with the reason. Rows of unknown chips cannot be judged: they pass
/// with is_resolved = false.
struct Screened {
  std::vector<Row> rows;
  std::vector<Quarantined> quarantined;
};

/// Resolves each chip by id or alias, then sets aside what beats the chip: less time than the arithmetic takes at the
/// dense rate, than the traffic takes at the memory rate (cache rate for what fits in L2), or than the link allows;
/// latencies that are not positive, and those so long that their unit must be wrong.
Screened screen(std::vector<Row> rows, const std::vector<catalog::Chip>& chips);

std::map<std::string, std::size_t> count_by_reason(const std::vector<Quarantined>& quarantined);

/// Least time the data sheet allows; 0 where the chip lacks the figure.
units::Seconds floor_seconds(const work::Op& op, work::Dtype dtype, const catalog::Chip& chip);
/// Of a kernel that is no operation of the cost model; what fits in L2 at the cache's rate, as above.
units::Seconds floor_seconds(units::Flops flops, units::Bytes bytes, work::Dtype dtype, const catalog::Chip& chip);

inline constexpr double kFloorSlack = 0.95;  // data sheets round, and a clock may boost a little above

}  // namespace traincost::measure
