#pragma once

#include <string>
#include <vector>

#include <traincost/cost/ablate.hpp>
#include <traincost/cost/explain.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {

/// Each part of a step with its share, its floor and the timings behind it.
std::string explanation(const std::vector<cost::ExplainedPart>& parts, const cost::Job& job, Format format);

std::string ablation(const std::vector<cost::Ablation>& steps, const cost::Job& job, Format format);

}  // namespace traincost::report
