#include <traincost/measure/csv.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

// Walks over the text record by record. A field is a view of the text, or of `unquoted_` when quotes were removed.
class Records {
 public:
  Records(std::string_view text, const std::string& origin) : text_(text), origin_(origin) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);  // byte-order mark
  }

  bool next(std::vector<std::string_view>& fields) {
    skip_blank_lines();
    if (at_ == text_.size()) return false;
    start_line_ = line_;
    fields.clear();
    unquoted_.clear();
    do fields.push_back(field());
    while (take(','));
    end_line();
    return true;
  }

  void skip_comments() {
    for (skip_blank_lines(); at_ < text_.size() && text_[at_] == '#'; skip_blank_lines()) {
      at_ = std::min(text_.find('\n', at_), text_.size());
    }
  }

  [[nodiscard]] std::size_t line() const { return start_line_; }

 private:
  std::string_view field() {
    if (at_ < text_.size() && text_[at_] == '"') return quoted();
    const auto end = std::min(text_.find_first_of(",\n", at_), text_.size());
    auto view = text_.substr(at_, end - at_);
    at_ = end;
    if (view.ends_with('\r')) view.remove_suffix(1);
    return view;
  }

  std::string_view quoted() {
    std::string value;
    for (++at_;; ++at_) {
      if (at_ >= text_.size())
        throw InputError(fmt::format("{}:{}: open quote: the file is truncated", origin_, start_line_));
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] != '"') {
        value += text_[at_];
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        value += text_[at_++];
      } else {
        break;
      }
    }
    ++at_;
    unquoted_.push_back(std::make_unique<std::string>(std::move(value)));
    return *unquoted_.back();
  }

  void end_line() {
    take('\r');
    if (at_ == text_.size()) return;
    if (!take('\n')) throw InputError(fmt::format("{}:{}: text after a closing quote", origin_, line_));
    ++line_;
  }

  void skip_blank_lines() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) {
      if (text_[at_++] == '\n') ++line_;
    }
  }

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string_view text_;
  const std::string& origin_;
  std::size_t at_ = 0, line_ = 1, start_line_ = 1;
  std::vector<std::unique_ptr<std::string>> unquoted_;
};

std::vector<std::string> read_header(Records& records, const std::string& origin) {
  std::vector<std::string_view> fields;
  records.skip_comments();
  if (!records.next(fields)) throw InputError(fmt::format("{}: empty, expected a CSV header", origin));
  std::vector<std::string> header(fields.begin(), fields.end());
  auto sorted = header;
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
    throw InputError(fmt::format("{}:{}: column {} twice", origin, records.line(), *twice));
  return header;
}

}  // namespace

void visit_csv(std::string_view text, const std::string& origin, const CsvVisitor& visit) {
  Records records(text, origin);
  const auto header = read_header(records, origin);
  std::vector<std::string_view> fields;
  while (records.next(fields)) {
    if (fields.size() != header.size())
      throw InputError(fmt::format("{}:{}: {} fields, expected {} as in the header", origin, records.line(),
                                   fields.size(), header.size()));
    visit(header, fields, records.line());
  }
}

CsvTable parse_csv(std::string_view text, const std::string& origin) {
  CsvTable table{.origin = origin, .header = {}, .rows = {}, .lines = {}};
  Records records(text, origin);
  table.header = read_header(records, origin);
  visit_csv(text, origin, [&](const auto&, const auto& fields, std::size_t line) {
    table.rows.emplace_back(fields.begin(), fields.end());
    table.lines.push_back(line);
  });
  return table;
}

CsvTable read_csv(const std::string& path) { return parse_csv(read_text(path), path); }

std::optional<std::size_t> column(const std::vector<std::string>& header, std::string_view name) {
  const auto found = std::ranges::find(header, name);
  if (found == header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header.begin());
}

std::optional<double> parse_number(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(' ') - first + 1);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<double> number(const CsvTable& table, std::size_t row, std::size_t column) {
  const auto& text = table.rows[row][column];
  if (text.find_first_not_of(' ') == std::string::npos) return std::nullopt;
  const auto value = parse_number(text);
  if (!value)
    throw InputError(fmt::format("{}:{}: {} = \"{}\", expected a finite number", table.origin, table.lines[row],
                                 table.header[column], text.substr(0, 40)));
  return value;
}

std::string read_text(const std::string& path, std::size_t max_bytes) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw InputError(fmt::format("{}: a directory, expected a file", path));
  if (const auto size = std::filesystem::file_size(path, error); !error && size > max_bytes)
    throw InputError(fmt::format("{}: {} bytes, expected at most {}", path, size, max_bytes));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("{}: cannot be read", path));
  std::string text;
  std::vector<char> chunk(std::size_t{1} << 20);
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || file.gcount() > 0) {
    const auto count = static_cast<std::size_t>(file.gcount());
    if (std::memchr(chunk.data(), 0, count)) throw InputError(fmt::format("{}: a NUL byte, expected text", path));
    text.append(chunk.data(), count);
    if (text.size() > max_bytes) throw InputError(fmt::format("{}: more than {} bytes", path, max_bytes));
  }
  return text;
}

}  // namespace traincost::measure
