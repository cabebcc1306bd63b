#pragma once

#include <string>

#include <traincost/cost/estimate.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {

/// What a training run costs: totals with intervals, the parts of a step, the layout, and what it rests on.
std::string budget(const cost::Estimate& estimate, Format format);

}  // namespace traincost::report
