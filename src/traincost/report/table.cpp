#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include <traincost/report/number.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {
namespace {

using Json = nlohmann::ordered_json;

bool is_number(const Cell& cell) { return std::holds_alternative<double>(cell); }

std::string shown(const Cell& cell, const Column& column) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<double>(&cell)) return grouped(*number / column.per, column.decimals);
  if (const auto* flag = std::get_if<bool>(&cell)) return *flag ? "yes" : "no";
  return "";
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return csv_field(*text);
  if (const auto* number = std::get_if<double>(&cell)) return exact(*number);
  if (const auto* flag = std::get_if<bool>(&cell)) return *flag ? "true" : "false";
  return "";
}

Json json_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  if (const auto* flag = std::get_if<bool>(&cell)) return *flag;
  return nullptr;
}

Json json_row(const Table& table, const std::vector<Cell>& row) {
  Json object = Json::object();
  for (std::size_t i = 0; i < table.columns.size(); ++i) object[table.columns[i].key] = json_cell(row.at(i));
  return object;
}

// Columns as a terminal shows them: UTF-8 continuation bytes take no room.
std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(const std::string& text, std::size_t width, bool is_right) {
  const std::string room(width - std::min(width, display_width(text)), ' ');
  return is_right ? room + text : text + room;
}

struct Shown {
  std::vector<std::vector<std::string>> lines;  // header first
  std::vector<std::size_t> widths;
  std::vector<bool> is_right;  // columns of numbers
};

Shown shown(const Table& table) {
  Shown out;
  std::vector<std::string> header;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    header.push_back(table.columns[i].title);
    const bool has_number =
        std::any_of(table.rows.begin(), table.rows.end(), [i](const auto& row) { return is_number(row.at(i)); });
    out.is_right.push_back(has_number || table.columns[i].is_right);
  }
  out.lines.push_back(header);
  for (const auto& row : table.rows) {
    std::vector<std::string> line;
    line.reserve(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) line.push_back(shown(row[i], table.columns[i]));
    out.lines.push_back(line);
  }
  out.widths.assign(table.columns.size(), 0);
  for (const auto& line : out.lines)
    for (std::size_t i = 0; i < line.size(); ++i) out.widths[i] = std::max(out.widths[i], display_width(line[i]));
  return out;
}

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

Table select(const Table& table, const std::vector<std::string>& keys) {
  Table out;
  out.rows.resize(table.rows.size());
  for (const auto& key : keys) {
    const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                    [&key](const Column& column) { return column.key == key; });
    if (found == table.columns.end()) throw std::out_of_range("no column " + key);
    const auto at = static_cast<std::size_t>(found - table.columns.begin());
    out.columns.push_back(*found);
    for (std::size_t row = 0; row < table.rows.size(); ++row) out.rows[row].push_back(table.rows[row].at(at));
  }
  return out;
}

std::string aligned(const Table& table) {
  const Shown s = shown(table);
  const auto line = [&s](const std::vector<std::string>& texts) {
    std::vector<std::string> fields;
    fields.reserve(s.widths.size());
    for (std::size_t i = 0; i < s.widths.size(); ++i) fields.push_back(padded(texts[i], s.widths[i], s.is_right[i]));
    return trimmed(joined(fields, "  ")) + "\n";
  };
  std::vector<std::string> rules;
  rules.reserve(s.widths.size());
  for (const std::size_t width : s.widths) rules.emplace_back(width, '-');
  std::string out = line(s.lines[0]) + line(rules);
  for (std::size_t at = 1; at < s.lines.size(); ++at) out += line(s.lines[at]);
  return out;
}

std::string markdown(const Table& table) {
  const Shown s = shown(table);
  std::string out;
  for (std::size_t at = 0; at < s.lines.size(); ++at) {
    out += "| " + joined(s.lines[at], " | ") + " |\n";
    if (at > 0) continue;
    out += "|";
    for (const bool is_right : s.is_right) out += is_right ? "---:|" : "---|";
    out += "\n";
  }
  return out;
}

std::string csv(const Table& table) {
  std::vector<std::string> keys;
  keys.reserve(table.columns.size());
  for (const auto& column : table.columns) keys.push_back(csv_field(column.key));
  std::string out = joined(keys, ",") + "\n";
  for (const auto& row : table.rows) {
    std::vector<std::string> fields;
    fields.reserve(row.size());
    for (const auto& cell : row) fields.push_back(csv_cell(cell));
    out += joined(fields, ",") + "\n";
  }
  return out;
}

std::string json(const Table& table) {
  Json array = Json::array();
  for (const auto& row : table.rows) array.push_back(json_row(table, row));
  return array.dump(2) + "\n";
}

std::optional<Format> parse_format(std::string_view text) {
  if (text == "table") return Format::table;
  if (text == "json") return Format::json;
  if (text == "csv") return Format::csv;
  return std::nullopt;
}

std::string render(const Table& table, Format format) {
  switch (format) {
    case Format::json:
      return json(table);
    case Format::csv:
      return csv(table);
    default:
      return aligned(table);
  }
}

std::string aligned_record(const Table& one_row) {
  std::size_t width = 0;
  for (const auto& column : one_row.columns) width = std::max(width, display_width(column.title));
  std::string out;
  for (std::size_t i = 0; i < one_row.columns.size(); ++i) {
    const std::string text = shown(one_row.rows.at(0)[i], one_row.columns[i]);
    if (!text.empty()) out += padded(one_row.columns[i].title, width, false) + "  " + text + "\n";
  }
  return out;
}

std::string json_record(const Table& one_row) { return json_row(one_row, one_row.rows.at(0)).dump(2) + "\n"; }

std::string render_record(const Table& one_row, Format format) {
  switch (format) {
    case Format::json:
      return json_record(one_row);
    case Format::csv:
      return csv(one_row);
    default:
      return aligned_record(one_row);
  }
}

}  // namespace traincost::report
