#include <traincost/scenario/knob.hpp>

#include <algorithm>

namespace traincost::scenario {
namespace {
constexpr std::array<std::string_view, kKnobCount> kNames{
    "budget_restricted",
    "budget_unrestricted",
    "budget_growth_restricted",
    "budget_growth_unrestricted",
    "legal_volume",
    "licence_rate",
    "grey_chips_per_year",
    "grey_growth",
    "grey_premium",
    "domestic_chips_2025",
    "domestic_growth",
    "domestic_yield",
    "domestic_efficiency",
    "chip_life_years",
    "training_share",
    "run_share_restricted",
    "run_share_unrestricted",
    "run_days",
    "algorithmic_growth",
    "follower_delay_months",
    "rate_error",
};
}

std::string_view to_string(Knob knob) { return kNames[static_cast<std::size_t>(knob)]; }

std::optional<Knob> parse_knob(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Knob>(found - kNames.begin());
}

}  // namespace traincost::scenario
