#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace traincost::catalog {

/// A TOML table whose keys are ticked off as they are read, so that finish() can refuse a misspelt one. Every getter
/// throws InputError with one line: origin, line, key, value, what was expected. Figures are finite and not negative.
class TomlTable {
 public:
  /// Parses `text`; `origin` (a file name) leads every error.
  TomlTable(std::string_view text, const std::string& origin);

  std::string text(const std::string& key);  // "" if missing
  std::string required_text(const std::string& key);
  std::optional<double> figure(const std::string& key);
  double figure(const std::string& key, double otherwise);
  double required_figure(const std::string& key);
  std::optional<double> positive_figure(const std::string& key);
  std::optional<bool> flag(const std::string& key);
  bool flag(const std::string& key, bool otherwise);
  std::vector<std::string> texts(const std::string& key);  // empty if missing
  std::vector<TomlTable> tables(const std::string& key);   // [[key]], empty if missing
  /// One of `allowed`, or `otherwise` if missing.
  std::string choice(const std::string& key, const std::vector<std::string>& allowed, const std::string& otherwise);

  /// Throws on the first key that nobody read.
  void finish() const;

  /// Throws InputError about `key` as it stands in the file.
  [[noreturn]] void refuse(const std::string& key, std::string_view expected) const;
  [[nodiscard]] const std::string& origin() const { return origin_; }

 private:
  struct Other {};  // dates, nested tables and mixed arrays: nothing here reads them
  struct Entry {
    std::variant<Other, std::string, double, bool, std::vector<std::string>, std::vector<TomlTable>> value;
    std::string shown;
    unsigned line = 0;
    bool is_read = false;
  };
  struct Parsed;  // keeps the TOML library out of this header

  TomlTable(const Parsed& parsed, const std::string& origin);
  static Entry entry_of(const Parsed& node, const std::string& origin);
  Entry* find(const std::string& key);
  template <class T>
  const T* get(const std::string& key, std::string_view expected);

  std::string origin_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace traincost::catalog
