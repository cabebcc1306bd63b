#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/units/quantity.hpp>

namespace traincost::catalog {

enum class PriceKind { rental /* USD per GPU-hour */, purchase /* USD per chip */ };

/// One dated price of a chip; rows of catalog/prices.toml.
struct Price {
  std::string chip;  // id
  PriceKind kind = PriceKind::rental;
  double usd = 0;                   // per GPU-hour or per chip
  std::optional<double> low, high;  // as stated
  std::string date;                 // "2024-12"
  std::string place, market /* list, cloud, street, grey */, source, confirmed, notes;
};

/// Shared constants of running a cluster, each with its source in catalog/operating.toml.
struct Operating {
  double power_usage_effectiveness;        // PUE
  units::DollarsPerJoule electricity;
  double average_power_fraction;           // of TDP x server overhead, while training
  double server_power_factor;              // server / GPU TDP
  double interconnect_cost_fraction;       // of the cluster's cost that is network
  double price_decline_per_year_log10;     // of hardware value, in powers of ten
  std::string source;
};

const std::vector<Price>& prices();
const Operating& operating();

std::vector<Price> parse_prices(std::string_view toml, const std::string& origin);

struct HourlyPrice {
  units::DollarsPerSecond p5, p50, p95;
  std::string basis;  // "rental, 3 quotes 2024-08..2025-03" or "amortised purchase of 33800 USD (2025-02-21)"
};
/// Rental where quotes are known (median and spread), else amortised purchase; nullopt: no price of any kind.
/// Amortised: price x decline / interconnect share + energy, the worked method of Epoch's training-cost study
/// (33,810 USD -> 1.63 USD per H100-hour).
std::optional<HourlyPrice> hourly_price(std::string_view chip, units::Watts tdp, const std::vector<Price>& prices,
                                        const Operating& operating);
units::DollarsPerSecond amortised(units::Dollars price, units::Watts tdp, const Operating& operating);

}  // namespace traincost::catalog
