#pragma once

#include <vector>

#include <traincost/scenario/rule.hpp>

/// The rows of `rules()`, in groups.
namespace traincost::scenario::tables {

std::vector<Rule> advanced_computing();  // what classifies a chip
std::vector<Rule> around_the_chips();    // memory, weights, fabs, caps, tariffs, guidance
std::vector<Rule> bills();               // not law
std::vector<Rule> compute_thresholds();  // on training runs
std::vector<Rule> chinese();             // the buyer's own side

}  // namespace traincost::scenario::tables
