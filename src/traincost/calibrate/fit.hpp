#pragma once

#include <functional>
#include <map>
#include <utility>

#include <traincost/calibrate/fitted.hpp>
#include <traincost/calibrate/transfer.hpp>
#include <traincost/calibrate/truths.hpp>
#include <traincost/measure/published.hpp>

namespace traincost::calibrate {

using Progress = std::function<void(std::size_t done, std::size_t all)>;

/// As fit() of efficiency.hpp. `published`: rows of papers and vendors, from which only come what no table times: the
/// backward of attention and narrower heads, as ratios, streams of memory, and what training's casts reach.
Efficiency fit(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips,
               const measure::Published& published, const Progress& progress);

/// Rows with the published streams of memory added: no table times any.
std::vector<measure::Row> with_streams(std::vector<measure::Row> rows, const measure::Published& published);

/// The truths of all chips but `without`, by (kind, format, pool).
std::map<SurfaceKey, std::vector<Truth>> pools(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                               const std::string& without);

/// The figures of a group's chip.
Figures figures_of(const std::vector<catalog::Chip>& chips, const SurfaceKey& key);

/// The surface of the truths of one pool, which `without` is not among, moved towards what all chips have in common.
Surface fit_pool(const Truths& truths, const std::vector<catalog::Chip>& chips, const SurfaceKey& pool,
                 const std::vector<Truth>& group, const Typical& all, const std::string& without);

/// Chips that have truths.
std::vector<Donor> donors_of(const Truths& truths, const std::vector<catalog::Chip>& chips);

}  // namespace traincost::calibrate
