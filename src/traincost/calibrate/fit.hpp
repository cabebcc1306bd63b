#pragma once

#include <functional>

#include <traincost/calibrate/fitted.hpp>
#include <traincost/calibrate/truths.hpp>

namespace traincost::calibrate {

using Progress = std::function<void(std::size_t done, std::size_t all)>;

/// As fit() of efficiency.hpp. `published`: rows of papers and vendors, from which only come what no table times: the
/// backward of attention and narrower heads, as ratios, and streams of memory.
Efficiency fit(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips,
               const std::vector<measure::Row>& published, const Progress& progress);

/// One surface per (kind, format) over all chips with high-bandwidth memory but `without`.
std::vector<Surface> fit_pooled(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                const std::string& without);

}  // namespace traincost::calibrate
