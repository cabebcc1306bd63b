#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace traincost::report {

/// 2788123.4 with 1 decimal: "2,788,123.4".
std::string grouped(double value, int decimals);

/// The shortest text that reads back as the same double: for CSV.
std::string exact(double value);

/// 14.8e12: "14.8T"; 256000: "256k".
std::string short_count(double value);

/// 0.123: "12.3 %".
std::string percent(double share, int decimals = 1);
/// 0.123: "+12.3 %".
std::string signed_percent(double share, int decimals = 1);

/// {"a", "b"} with ", ": "a, b".
std::string joined(const std::vector<std::string>& texts, std::string_view separator);

}  // namespace traincost::report
