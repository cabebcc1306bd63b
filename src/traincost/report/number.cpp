#include <fmt/format.h>

#include <array>
#include <cmath>

#include <traincost/report/number.hpp>

namespace traincost::report {

std::string grouped(double value, int decimals) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  const std::size_t point = text.find('.');
  const std::size_t whole = point == std::string::npos ? text.size() : point;
  for (std::size_t at = whole; at > 3; at -= 3) text.insert(at - 3, ",");
  const bool is_zero = text.find_first_of("123456789") == std::string::npos;
  return value < 0 && !is_zero ? "-" + text : text;
}

std::string exact(double value) {
  // Whole numbers without an exponent: 989500000000000, not 9.895e+14.
  if (value == std::floor(value) && std::abs(value) < 1e18) return fmt::format("{:.0f}", value);
  return fmt::format("{}", value);
}

std::string short_count(double value) {
  struct Scale {
    double per;
    const char* suffix;
  };
  constexpr std::array kScales{Scale{1e12, "T"}, Scale{1e9, "B"}, Scale{1e6, "M"}, Scale{1e3, "k"}};
  for (const auto& scale : kScales)
    if (std::abs(value) >= scale.per) return fmt::format("{:.4g}{}", value / scale.per, scale.suffix);
  return fmt::format("{:.4g}", value);
}

std::string percent(double share, int decimals) { return fmt::format("{:.{}f} %", share * 100, decimals); }

std::string signed_percent(double share, int decimals) { return fmt::format("{:+.{}f} %", share * 100, decimals); }

std::string joined(const std::vector<std::string>& texts, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += separator;
    out += texts[i];
  }
  return out;
}

}  // namespace traincost::report
