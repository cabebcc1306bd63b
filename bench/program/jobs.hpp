#pragma once

#include <vector>

#include <traincost/catalog/chip.hpp>

#include <bench/job.hpp>
#include <bench/program/backend.hpp>

namespace traincost::bench {

/// Every registered case, provider, shape and mode, with its floor on `chip`. `backend` may be nullptr: for a listing.
/// The order keeps the modes of one shape together, whose buffers are prepared once.
std::vector<Job> jobs(const std::vector<kernels::Case>& cases, const catalog::Chip& chip, Backend* backend);

}  // namespace traincost::bench
