#pragma once

#include <string>
#include <vector>

#include <traincost/cost/estimate.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {

/// A total of the run, as every form of the budget names it.
struct Total {
  const char* key;    // in JSON and CSV; the unit is in its name
  const char* title;  // in a table
  const char* unit;   // in a table
  double per;         // the table's unit in the key's
  int decimals;
  cost::Interval cost::RunBudget::*interval;
};
const std::vector<Total>& totals();

/// Parts of a step: name, category, seconds, share of the step, origin of the figures.
Table parts_table(const cost::StepCost& step);

/// "61.3 of 84.2 GB that a job may allocate: fits".
std::string memory_words(const cost::Estimate& estimate);

/// "2,048 x H800 SXM5 80GB".
std::string machine_words(const cost::Job& job);

}  // namespace traincost::report
