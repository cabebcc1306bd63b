#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/units/quantity.hpp>

namespace traincost::catalog {

enum class PriceKind { rental /* USD per GPU-hour */, purchase /* USD per chip */ };

/// One dated price of a chip; rows of catalog/prices/prices.toml.
struct Price {
  std::string chip;                   // id
  std::vector<std::string> also_for;  // ids of siblings that may be priced by it, for want of a quote of their own
  PriceKind kind = PriceKind::rental;
  double usd = 0;                   // per GPU-hour or per chip; yuan converted at the row's own rate
  std::optional<double> low, high;  // as stated
  std::string date;                 // "2024-12"
  std::string place, market /* list, cloud, street, grey */, source, confirmed, notes;
};

/// Shared constants of running a cluster, with their source in catalog/prices/operating.toml.
struct Operating {
  double power_usage_effectiveness;  // PUE
  units::DollarsPerJoule electricity;
  double average_power_fraction;        // of TDP x server overhead, while training
  double server_power_factor;           // server / GPU TDP
  double interconnect_cost_fraction;    // of the cluster's cost that is network
  double price_decline_per_year_log10;  // of hardware value, in powers of ten
  std::string source;
};

const std::vector<Price>& prices();
const Operating& operating();

/// A user's own prices (--price-file), in place of the embedded ones of the chips that they name.
std::vector<Price> prices_with(const std::vector<std::filesystem::path>& files);

Operating parse_operating(std::string_view toml, const std::string& origin);
std::vector<Price> parse_prices(std::string_view toml, const std::string& origin);

struct HourlyPrice {
  units::DollarsPerSecond p5, p50, p95;
  std::string basis;  // "rental, 3 quotes 2024-08..2025-03" or "amortised purchase of 33800 USD (2025-02-21)"
};
/// Rental where quotes are known (median and spread), else amortised purchase, else the same of a sibling's quotes;
/// nullopt: no price of any kind. Of rentals, a hyperscaler's on-demand list price counts only where nothing else is
/// known (it was up to four times the market); of purchases, a grey-market price likewise.
/// Amortised: price x decline / interconnect share + energy, the worked method of Epoch's training-cost study
/// (33,810 USD -> 1.63 USD per H100-hour).
/// `only`: quotes of that kind alone, for comparing chips on one footing (a rental holds the owner's margin, an
/// amortised purchase does not).
std::optional<HourlyPrice> hourly_price(std::string_view chip, units::Watts tdp, const std::vector<Price>& prices,
                                        const Operating& operating, std::optional<PriceKind> only = std::nullopt);
units::DollarsPerSecond amortised(units::Dollars price, units::Watts tdp, const Operating& operating);

}  // namespace traincost::catalog
