#pragma once

#include <optional>
#include <string>
#include <vector>

#include <traincost/cost/estimate.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {

/// One chip of a comparison: an estimate, or why there is none.
struct Compared {
  std::string chip;
  std::optional<cost::Estimate> estimate;
  std::string why_not;
};

/// A row per chip, then the parts of a step that differ from the first chip's.
std::string comparison(const std::vector<Compared>& chips, Format format);

}  // namespace traincost::report
