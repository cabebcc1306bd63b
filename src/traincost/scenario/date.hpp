#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace traincost::scenario {

using Date = std::chrono::year_month_day;

constexpr Date date(int year, unsigned month, unsigned day) {
  return {std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}};
}

/// "2025-05-01"; "2025-05" is its first day, "2025" the first of January. Throws InputError naming `what`.
Date parse_date(std::string_view text, std::string_view what);
std::string to_string(Date date);

/// 2025-07-02 -> 2025.5: time in years for interpolation.
double year_fraction(Date date);

}  // namespace traincost::scenario
