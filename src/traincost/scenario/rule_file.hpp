#pragma once

#include <traincost/catalog/toml_table.hpp>
#include <traincost/scenario/rule.hpp>

namespace traincost::scenario {

/// The rule in a table of its own file or of a scenario; reads all its keys.
Rule read_rule(catalog::TomlTable& table);

}  // namespace traincost::scenario
