#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace traincost::measure {

/// A CSV file (RFC 4180 quotes, "\n" or "\r\n"), every field as written. Lines that begin with '#' before the header
/// and blank lines are skipped.
struct CsvTable {
  std::string origin;                          // the path, for messages
  std::vector<std::string> header;             // [columns]
  std::vector<std::vector<std::string>> rows;  // [rows, columns]
  std::vector<std::size_t> lines;              // [rows], 1-based line where the row begins
};

inline constexpr std::size_t kMaxCsvBytes = std::size_t{512} << 20;  // the largest table in use is a fifth of this

/// Throws InputError (file:line) when the file is unreadable, empty, binary, larger than kMaxCsvBytes, has a repeated
/// column, an open quote at its end, or a row with another number of fields than the header.
CsvTable read_csv(const std::string& path);
CsvTable parse_csv(std::string_view text, const std::string& origin);

/// Position of a column; nullopt if absent.
std::optional<std::size_t> column(const std::vector<std::string>& header, std::string_view name);
inline std::optional<std::size_t> column(const CsvTable& table, std::string_view name) {
  return column(table.header, name);
}

/// The field as a finite number; nullopt if blank. Throws InputError naming file, line, column and value otherwise.
std::optional<double> number(const CsvTable& table, std::size_t row, std::size_t column);

/// A finite number that fills the whole text (spaces around it allowed); nullopt otherwise.
std::optional<double> parse_number(std::string_view text);

/// The same reader without keeping the rows: `visit` sees the header once per call together with one record.
using CsvVisitor = std::function<void(const std::vector<std::string>& header,
                                      const std::vector<std::string_view>& fields, std::size_t line)>;
void visit_csv(std::string_view text, const std::string& origin, const CsvVisitor& visit);

/// The whole file, at most `max_bytes`. Throws InputError when unreadable, too large or (a NUL byte) not text.
std::string read_text(const std::string& path, std::size_t max_bytes = kMaxCsvBytes);

}  // namespace traincost::measure
