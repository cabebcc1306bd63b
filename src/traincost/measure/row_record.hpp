#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/measure/row.hpp>

namespace traincost::measure {

/// One timing as named fields, from a line of a row file or an entry of a benchmark's JSON.
struct RowRecord {
  const std::map<std::string_view, std::size_t>& columns;
  const std::vector<std::string_view>& fields;
  std::string where;  // "file:line", for messages
};

/// Throws InputError naming place, field, value and what was expected.
Row make_row(const RowRecord& record);

}  // namespace traincost::measure
