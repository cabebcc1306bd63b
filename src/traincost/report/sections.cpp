#include <traincost/report/sections.hpp>

#include <fmt/format.h>

namespace traincost::report {
namespace {

// A column without a title is a list.
std::string list(const Table& table) {
  std::string out;
  for (const auto& row : table.rows) out += fmt::format("- {}\n", std::get<std::string>(row[0]));
  return out;
}

std::string titled(const Section& section) {
  const bool is_list = section.table.columns.size() == 1 && section.table.columns[0].title.empty();
  const std::string body = is_list             ? list(section.table)
                           : section.is_record ? aligned_record(section.table)
                                               : aligned(section.table);
  return section.title.empty() ? body : fmt::format("{}\n{}", section.title, body);
}

// "{...}\n" -> indented by two, without the last line end.
std::string indented(const std::string& json) {
  std::string out;
  for (const char c : json.substr(0, json.find_last_not_of('\n') + 1)) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

std::string object(const std::vector<Section>& sections) {
  std::string out = "{";
  for (const auto& section : sections) {
    if (section.is_record && section.table.rows.empty()) continue;
    out += fmt::format("{}\n  \"{}\": {}", out.size() > 1 ? "," : "", section.key,
                       indented(section.is_record ? json_record(section.table) : json(section.table)));
  }
  return out + "\n}\n";
}

}  // namespace

std::string render(const std::vector<Section>& sections, Format format) {
  if (format == Format::csv) return sections.empty() ? "" : csv(sections.front().table);
  if (format == Format::json) return object(sections);
  std::string out;
  for (const auto& section : sections)
    if (!section.table.rows.empty()) out += fmt::format("{}{}", out.empty() ? "" : "\n", titled(section));
  return out;
}

Section notes(std::string key, std::string title, const std::vector<std::string>& lines) {
  Section section{.key = std::move(key), .title = std::move(title), .table = {.columns = {{"text", ""}}, .rows = {}}};
  for (const auto& line : lines) section.table.rows.push_back({line});
  return section;
}

}  // namespace traincost::report
