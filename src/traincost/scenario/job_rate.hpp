#pragma once

#include <string>
#include <vector>

#include <traincost/scenario/plan.hpp>

namespace traincost::scenario {

/// A JobRate with where its numbers come from.
struct NamedJobRate {
  JobRate rate;
  std::function<std::string(const catalog::Chip&)> origin;  // "cost model, measured kernels ..." or "data sheet ..."
};

/// Peak of the data sheet x the utilisation that the cost model's H100 would have: no kernel, no link, no memory.
NamedJobRate data_sheet_job_rate();

/// The cost model's step of the job on that chip, in its usual cluster, in the published layout or the best that fits.
/// Chips that the cost model cannot place (a figure is missing, nothing fits) get the data sheet's rate at the H100's
/// utilisation, and say so.
NamedJobRate cost_job_rate(const Job& job);

/// One line per chip of the scenario.
std::vector<std::string> describe(const NamedJobRate& rate, const Scenario& scenario,
                                  const std::vector<catalog::Chip>& chips);

}  // namespace traincost::scenario
