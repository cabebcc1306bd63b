#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/cost/estimate.hpp>
#include <traincost/report/table.hpp>

namespace traincost::app {

/// `compare --job`: the text of the answer. `job`: pretraining, rollouts, rl or all.
std::string compared_jobs(const std::string& job, const cost::Request& request, const std::vector<catalog::Chip>& chips,
                          const calibrate::Efficiency& efficiency, const std::vector<catalog::Price>& prices,
                          report::Format format);

}  // namespace traincost::app
