#pragma once

#include <cstddef>
#include <vector>

#include <traincost/report/table.hpp>

namespace traincost::app {

/// A column of a catalogue listing and how its cell is read.
template <class Thing>
struct Field {
  report::Column column;
  report::Cell (*of)(const Thing&);
};

template <class Thing, std::size_t Count>
report::Table table_of(const Field<Thing> (&fields)[Count], const std::vector<Thing>& things) {
  report::Table table;
  for (const auto& field : fields) table.columns.push_back(field.column);
  for (const auto& thing : things) {
    table.rows.emplace_back();
    for (const auto& field : fields) table.rows.back().push_back(field.of(thing));
  }
  return table;
}

}  // namespace traincost::app
