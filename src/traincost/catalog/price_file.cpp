#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <set>
#include <stdexcept>

#include <traincost/catalog/embedded.hpp>
#include <traincost/catalog/price.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/catalog/toml_table.hpp>

namespace traincost::catalog {
namespace {

/// "2024", "2024-12" or "2024-12-17": sorts as text.
bool is_date(std::string_view text) {
  constexpr std::string_view kPattern = "dddd-dd-dd";
  if (text.size() != 4 && text.size() != 7 && text.size() != 10) return false;
  return std::equal(text.begin(), text.end(), kPattern.begin(),
                    [](unsigned char c, char pattern) { return pattern == '-' ? c == '-' : std::isdigit(c) != 0; });
}

/// The quote's figures are for `gpus` chips and may be in yuan; a range without a middle gets its geometric mean, as
/// the studies that publish such ranges use.
void read_amounts(TomlTable& row, Price& price) {
  const auto usd = row.positive_figure("usd");
  const auto cny = row.positive_figure("cny");
  const auto cny_per_usd = row.positive_figure("cny_per_usd");
  const double gpus = row.positive_figure("gpus").value_or(1);
  const auto low = row.positive_figure("low");
  const auto high = row.positive_figure("high");
  if (usd && cny) row.refuse("cny", "either usd or cny");
  if (cny && !cny_per_usd) row.refuse("cny_per_usd", "the rate that converts cny");
  if (low && high && *low > *high) row.refuse("low", "a figure below high");
  const double one = 1 / gpus / cny_per_usd.value_or(1);
  const auto stated = usd ? usd : cny;
  if (!stated && !(low && high)) row.refuse("usd", "a price, or low and high");
  price.usd = one * (stated ? *stated : std::sqrt(low.value_or(0) * high.value_or(0)));
  if (low) price.low = one * *low;
  if (high) price.high = one * *high;
}

Price read_price(TomlTable& row) {
  Price price;
  price.chip = row.required_text("chip");
  price.also_for = row.texts("also_for");
  row.required_text("kind");
  price.kind = row.choice("kind", {"rental", "purchase"}, "") == "rental" ? PriceKind::rental : PriceKind::purchase;
  read_amounts(row, price);
  price.date = row.required_text("date");
  if (!is_date(price.date)) row.refuse("date", "a date such as 2024, 2024-12 or 2024-12-17");
  price.place = row.text("place");
  row.required_text("market");
  price.market = row.choice("market", {"list", "cloud", "street", "grey"}, "");
  price.source = row.required_text("source");
  row.required_text("confirmed");
  price.confirmed = row.choice("confirmed", {"yes", "partial", "derived", "announced", "rumour", "unconfirmed"}, "");
  price.notes = row.text("notes");
  row.finish();
  return price;
}

const Embedded& embedded_file(std::string_view name) {
  const auto files = embedded_prices();
  const auto found = std::find_if(files.begin(), files.end(), [&](const Embedded& file) { return file.name == name; });
  if (found == files.end()) throw std::logic_error("no embedded file " + std::string(name));
  return *found;
}

}  // namespace

std::vector<Price> parse_prices(std::string_view toml, const std::string& origin) {
  TomlTable table(toml, origin);
  auto rows = table.tables("price");
  table.finish();
  std::vector<Price> prices(rows.size());
  std::transform(rows.begin(), rows.end(), prices.begin(), read_price);
  return prices;
}

Operating parse_operating(std::string_view toml, const std::string& origin) {
  TomlTable table(toml, origin);
  Operating operating{
      .power_usage_effectiveness = table.required_figure("power_usage_effectiveness"),
      .electricity = units::Dollars{table.required_figure("electricity_usd_per_kwh")} / units::kKilowattHour,
      .average_power_fraction = table.required_figure("average_power_fraction"),
      .server_power_factor = table.required_figure("server_power_factor"),
      .interconnect_cost_fraction = table.required_figure("interconnect_cost_fraction"),
      .price_decline_per_year_log10 = table.required_figure("price_decline_per_year_log10"),
      .source = table.required_text("source")};
  if (operating.power_usage_effectiveness < 1) table.refuse("power_usage_effectiveness", "at least 1");
  if (operating.interconnect_cost_fraction >= 1) table.refuse("interconnect_cost_fraction", "less than 1");
  table.finish();
  return operating;
}

const std::vector<Price>& prices() {
  static const std::vector<Price> kPrices = parse_prices(embedded_file("prices.toml").text, "prices.toml");
  return kPrices;
}

const Operating& operating() {
  static const Operating kOperating = parse_operating(embedded_file("operating.toml").text, "operating.toml");
  return kOperating;
}

std::vector<Price> prices_with(const std::vector<std::filesystem::path>& files) {
  std::vector<Price> all;
  for (const auto& file : files) {
    const auto own = parse_prices(read_text_file(file), file.string());
    all.insert(all.end(), own.begin(), own.end());
  }
  std::set<std::string> named;
  for (const Price& price : all) named.insert(price.chip);
  std::copy_if(prices().begin(), prices().end(), std::back_inserter(all),
               [&](const Price& price) { return named.count(price.chip) == 0; });
  return all;
}

}  // namespace traincost::catalog
