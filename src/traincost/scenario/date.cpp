#include <traincost/scenario/date.hpp>

#include <fmt/format.h>

#include <charconv>

#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view what) {
  throw InputError(fmt::format("{}: '{}' is not a date (expected YYYY-MM-DD)", what, text));
}

unsigned number(std::string_view digits, std::string_view text, std::string_view what) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) refuse(text, what);
  return value;
}

}  // namespace

Date parse_date(std::string_view text, std::string_view what) {
  if (text.size() != 4 && text.size() != 7 && text.size() != 10) refuse(text, what);
  if ((text.size() > 4 && text[4] != '-') || (text.size() > 7 && text[7] != '-')) refuse(text, what);
  const unsigned year = number(text.substr(0, 4), text, what);
  const unsigned month = text.size() > 4 ? number(text.substr(5, 2), text, what) : 1;
  const unsigned day = text.size() > 7 ? number(text.substr(8, 2), text, what) : 1;
  const Date parsed = date(static_cast<int>(year), month, day);
  if (!parsed.ok()) refuse(text, what);
  return parsed;
}

std::string to_string(Date date) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

double year_fraction(Date d) {
  const auto days = (std::chrono::sys_days{d} - std::chrono::sys_days{date(static_cast<int>(d.year()), 1, 1)}).count();
  return static_cast<int>(d.year()) + static_cast<double>(days) / (d.year().is_leap() ? 366.0 : 365.0);
}

}  // namespace traincost::scenario
