#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <traincost/catalog/chip_name.hpp>

namespace traincost::catalog {
namespace {

constexpr std::array<std::string_view, 7> kMakers{"nvidia", "tesla", "amd", "instinct", "intel", "huawei", "geforce"};

bool is_maker(std::string_view word) { return std::find(kMakers.begin(), kMakers.end(), word) != kMakers.end(); }

bool is_count(std::string_view word) {  // "x8"
  return word.size() > 1 && word.front() == 'x' &&
         std::all_of(word.begin() + 1, word.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

char plain(unsigned char c) { return c == '-' || c == '_' || c == '*' ? ' ' : static_cast<char>(std::tolower(c)); }

}  // namespace

std::string plain_chip_name(std::string_view name) {
  std::string text(name.substr(0, name.find('(')));
  std::transform(text.begin(), text.end(), text.begin(), plain);

  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    if (!words.empty() || !is_maker(word)) words.push_back(word);
  }
  if (words.size() > 1 && is_count(words.back())) words.pop_back();
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace traincost::catalog
