#include <traincost/cost/interconnect.hpp>

#include <regex>
#include <string>

namespace traincost::cost {

std::optional<units::BytesPerSecond> parse_interconnect(std::string_view text, double gpus_per_node) {
  static const std::regex kBandwidth(R"((?:(\d+)\s*x\s*)?(\d+(?:\.\d+)?)\s*(G[bB])/s([^,;]*))");
  std::string_view rest = text;
  for (std::cmatch match; std::regex_search(rest.data(), rest.data() + rest.size(), match, kBandwidth);
       rest = {match.suffix().first, static_cast<std::size_t>(match.suffix().second - match.suffix().first)}) {
    const std::string before(match.prefix().first, match.prefix().second), after = match[4].str();
    const auto clause = before.substr(before.find_last_of(",;") + 1);  // npos + 1 = 0
    if ((clause + after).find("NVLink") != std::string::npos) continue;
    const double lanes = match[1].matched ? std::stod(match[1].str()) : 1;
    const double bits = match[3] == "Gb" ? 8 : 1;
    const double bytes = lanes * std::stod(match[2].str()) * units::kGiga / bits;
    const bool per_gpu = after.find("per GPU") != std::string::npos;
    return units::BytesPerSecond{per_gpu ? bytes : bytes / gpus_per_node};
  }
  return std::nullopt;
}

}  // namespace traincost::cost
