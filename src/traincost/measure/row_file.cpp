#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include <traincost/measure/csv.hpp>
#include <traincost/measure/google_benchmark.hpp>
#include <traincost/measure/row_file.hpp>
#include <traincost/measure/row_record.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {

std::vector<Row> parse_rows(std::string_view csv, const std::string& origin) {
  std::vector<Row> rows;
  std::map<std::string_view, std::size_t> columns;
  visit_csv(csv, origin, [&](const auto& header, const auto& fields, std::size_t line) {
    if (columns.empty())
      for (std::size_t i = 0; i < header.size(); ++i) columns.emplace(header[i], i);
    rows.push_back(make_row({columns, fields, fmt::format("{}:{}", origin, line)}));
  });
  return rows;
}

std::vector<Row> read_rows(const std::string& path) {
  const auto text = read_text(path);
  return path.ends_with(".json") ? parse_google_benchmark(text, path) : parse_rows(text, path);
}

std::vector<std::string> row_files(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.path().extension() == ".csv" || entry.path().extension() == ".json")
      files.push_back(entry.path().string());
  if (files.empty()) throw InputError(fmt::format("{}: no .csv or .json file in this folder", path));
  std::ranges::sort(files);
  return files;
}

}  // namespace traincost::measure
