#pragma once

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/cost/layout.hpp>
#include <traincost/cost/stack.hpp>

namespace traincost::cost {

/// Everything that decides the time of a step.
struct Job {
  catalog::Model model;
  catalog::Chip chip;
  catalog::Cluster cluster;
  Layout layout;
  Stack stack;
};

}  // namespace traincost::cost
