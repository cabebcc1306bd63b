#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace traincost::report {

/// An empty cell is an unknown figure: blank in a table and in CSV, null in JSON.
using Cell = std::variant<std::monostate, std::string, double, bool>;

template <class Number>
Cell cell(const std::optional<Number>& number) {
  if (!number) return std::monostate{};
  if constexpr (requires { number->value; })
    return number->value;
  else
    return *number;
}

/// One column of all four forms: CSV and JSON name it `key` and hold the SI value in full; a table shows `title` and
/// the value in units of `per` with `decimals` digits ("memory_bytes", "memory GB", 1e9, 0).
struct Column {
  std::string key;
  std::string title;
  double per = 1;
  int decimals = 0;
  bool is_right = false;  // text aligned like numbers; columns of numbers always are
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

/// The columns with these keys, in this order. Throws std::out_of_range for a key that is not there.
Table select(const Table& table, const std::vector<std::string>& keys);

std::string aligned(const Table& table);
std::string markdown(const Table& table);
std::string csv(const Table& table);
std::string json(const Table& table);  // an array of objects

enum class Format { table, json, csv };
std::optional<Format> parse_format(std::string_view text);
std::string render(const Table& table, Format format);

/// One column of names and one of values, for a single thing with many fields. JSON: one object.
std::string aligned_record(const Table& one_row);
std::string json_record(const Table& one_row);
std::string render_record(const Table& one_row, Format format);

}  // namespace traincost::report
