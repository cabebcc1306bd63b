#include <traincost/measure/google_benchmark.hpp>

#include <fmt/format.h>

#include <traincost/measure/row_record.hpp>

namespace traincost::measure {
namespace {

Row row_of(const BenchEntry& entry, const std::string& origin) {
  auto fields = entry.fields;
  fields["latency_s"] = fmt::format("{}", entry.latency.value);
  fields.emplace("source", origin);
  std::map<std::string_view, std::size_t> columns;
  std::vector<std::string_view> values;
  for (const auto& [key, value] : fields) {
    columns.emplace(key, values.size());
    values.push_back(value);
  }
  auto row = make_row({columns, values, fmt::format("{}: {}", origin, entry.name)});
  row.is_own = true;
  return row;
}

}  // namespace

std::vector<Row> rows_of(const BenchFile& file) {
  std::vector<Row> rows;
  for (const auto& entry : file.entries)
    if (!entry.text("op").empty()) rows.push_back(row_of(entry, file.origin));
  return rows;
}

std::vector<Row> parse_google_benchmark(std::string_view json, const std::string& origin) {
  return rows_of(parse_bench_file(json, origin));
}

}  // namespace traincost::measure
