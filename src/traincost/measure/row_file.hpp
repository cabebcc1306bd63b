#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <traincost/measure/row.hpp>

namespace traincost::measure {

/// Our own row files: CSV with the columns op, dtype, chip, provider, latency_s, mode, source and the shape columns of
/// the op (m, n, k, b, s_q, ...); blank = the default of the shape. As scripts/import_aiconfigurator.py writes them.
std::vector<Row> parse_rows(std::string_view csv, const std::string& origin);  // throws InputError

/// A row file, or (ending in .json) results of our own benchmark.
std::vector<Row> read_rows(const std::string& path);  // throws InputError

/// The row files of a folder in the order of their names, or the path itself.
std::vector<std::string> row_files(const std::string& path);

}  // namespace traincost::measure
