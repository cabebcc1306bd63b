#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <traincost/catalog/toml_table.hpp>
#include <traincost/units/error.hpp>

namespace traincost::catalog {

struct TomlTable::Parsed {
  const toml::node& node;
};

namespace {

constexpr std::size_t kShownCharacters = 60;  // of a value in an error: one line

std::string shown(const toml::node& node) {
  if (node.is_table()) return "{...}";
  std::ostringstream stream;
  if (const auto* array = node.as_array()) {
    stream << *array;
  } else if (const auto* text = node.as_string()) {
    stream << '"' << text->get() << '"';
  } else {
    node.visit([&](const auto& value) {
      if constexpr (toml::is_value<decltype(value)>) stream << value;
    });
  }
  std::string line = stream.str();
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return line.size() <= kShownCharacters ? line : line.substr(0, kShownCharacters) + "...";
}

toml::table parse(std::string_view text, const std::string& origin) {
  try {
    return toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    std::string reason(error.description());
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    throw InputError(fmt::format("{}:{}: not valid TOML: {}", origin, error.source().begin.line, reason));
  }
}

bool all_tables(const toml::array& array) {
  return !array.empty() && std::all_of(array.begin(), array.end(), [](const auto& node) { return node.is_table(); });
}

bool all_strings(const toml::array& array) {
  return std::all_of(array.begin(), array.end(), [](const auto& node) { return node.is_string(); });
}

}  // namespace

TomlTable::TomlTable(std::string_view text, const std::string& origin)
    : TomlTable(Parsed{parse(text, origin)}, origin) {}

TomlTable::TomlTable(const Parsed& parsed, const std::string& origin) : origin_(origin) {
  for (const auto& [key, node] : *parsed.node.as_table()) {
    entries_.emplace(std::string(key.str()), entry_of(Parsed{node}, origin));
  }
}

TomlTable::Entry TomlTable::entry_of(const Parsed& parsed, const std::string& origin) {
  const toml::node& node = parsed.node;
  Entry entry{.value = Other{}, .shown = shown(node), .line = node.source().begin.line};
  if (const auto* text = node.as_string()) {
    entry.value = text->get();
  } else if (const auto* flag = node.as_boolean()) {
    entry.value = flag->get();
  } else if (node.is_number()) {
    entry.value = node.value_or(std::numeric_limits<double>::quiet_NaN());
  } else if (const auto* array = node.as_array(); array != nullptr && all_tables(*array)) {
    std::vector<TomlTable> tables;
    for (const auto& item : *array) tables.push_back(TomlTable(Parsed{item}, origin));
    entry.value = std::move(tables);
  } else if (array != nullptr && all_strings(*array)) {
    std::vector<std::string> texts;
    for (const auto& item : *array) texts.push_back(item.as_string()->get());
    entry.value = std::move(texts);
  }
  return entry;
}

TomlTable::Entry* TomlTable::find(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  found->second.is_read = true;
  return &found->second;
}

template <class T>
const T* TomlTable::get(const std::string& key, std::string_view expected) {
  const Entry* entry = find(key);
  if (entry == nullptr) return nullptr;
  const T* value = std::get_if<T>(&entry->value);
  if (value == nullptr) refuse(key, expected);
  return value;
}

void TomlTable::refuse(const std::string& key, std::string_view expected) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) throw InputError(fmt::format("{}: {} is missing: expected {}", origin_, key, expected));
  const Entry& entry = found->second;
  throw InputError(fmt::format("{}:{}: {} = {}: expected {}", origin_, entry.line, key, entry.shown, expected));
}

std::string TomlTable::text(const std::string& key) {
  const auto* value = get<std::string>(key, "a string in quotes");
  return value == nullptr ? std::string() : *value;
}

std::string TomlTable::required_text(const std::string& key) {
  std::string value = text(key);
  if (value.empty()) refuse(key, "a string that is not empty");
  return value;
}

std::optional<double> TomlTable::figure(const std::string& key) {
  constexpr std::string_view kExpected = "a finite number that is not negative";
  const auto* value = get<double>(key, kExpected);
  if (value == nullptr) return std::nullopt;
  if (!std::isfinite(*value) || *value < 0) refuse(key, kExpected);
  return *value;
}

double TomlTable::figure(const std::string& key, double otherwise) { return figure(key).value_or(otherwise); }

double TomlTable::required_figure(const std::string& key) {
  const auto value = figure(key);
  if (!value) refuse(key, "a number");
  return *value;
}

std::optional<double> TomlTable::positive_figure(const std::string& key) {
  const auto value = figure(key);
  if (value && *value <= 0) refuse(key, "a positive number (leave the key out where it is unknown)");
  return value;
}

std::optional<bool> TomlTable::flag(const std::string& key) {
  const auto* value = get<bool>(key, "true or false");
  return value == nullptr ? std::nullopt : std::optional<bool>(*value);
}

bool TomlTable::flag(const std::string& key, bool otherwise) { return flag(key).value_or(otherwise); }

std::vector<std::string> TomlTable::texts(const std::string& key) {
  const auto* value = get<std::vector<std::string>>(key, "a list of strings");
  return value == nullptr ? std::vector<std::string>() : *value;
}

std::vector<TomlTable> TomlTable::tables(const std::string& key) {
  const auto* value = get<std::vector<TomlTable>>(key, fmt::format("[[{}]] tables", key));
  return value == nullptr ? std::vector<TomlTable>() : *value;
}

std::string TomlTable::choice(const std::string& key, const std::vector<std::string>& allowed,
                              const std::string& otherwise) {
  const auto* value = get<std::string>(key, "a string in quotes");
  if (value == nullptr) return otherwise;
  if (std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) {
    refuse(key, fmt::format("one of {}", fmt::join(allowed, ", ")));
  }
  return *value;
}

void TomlTable::finish() const {
  const auto unread = std::find_if(entries_.begin(), entries_.end(), [](const auto& e) { return !e.second.is_read; });
  if (unread == entries_.end()) return;
  throw InputError(
      fmt::format("{}:{}: {} = {}: unknown key", origin_, unread->second.line, unread->first, unread->second.shown));
}

}  // namespace traincost::catalog
