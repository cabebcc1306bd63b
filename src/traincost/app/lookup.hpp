#pragma once

#include <string>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/model.hpp>

namespace traincost::app {

/// By id or alias; throws InputError with the nearest names.
const catalog::Chip& chip_named(const std::string& name);
const catalog::Model& model_named(const std::string& name);
const catalog::Cluster& cluster_named(const std::string& name);

/// The `count` names that need the fewest edits to become `name`.
std::vector<std::string> nearest(const std::string& name, std::vector<std::string> names, std::size_t count);

}  // namespace traincost::app
