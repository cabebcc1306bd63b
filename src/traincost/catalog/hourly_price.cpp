#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numbers>

#include <fmt/format.h>

#include <traincost/catalog/price.hpp>

namespace traincost::catalog {
namespace {

// Log-spread of quotes for one chip: the nine cloud quotes of the H100, 1.70 to 3.49 USD an hour from 2023 to 2026,
// scatter by 0.25 about their median. It stands in for a chip's own spread while that has few quotes.
constexpr double kPriorSpread = 0.25;
constexpr double kPriorQuotes = 2;  // what the prior weighs: from the third quote on, the chip's own spread counts more
constexpr double kZ95 = 1.645;      // normal quantile of 95 %

using Quotes = std::vector<const Price*>;

struct Estimate {
  double p5, p50, p95;
};

/// Spread of one more quote, in logarithms: scatter about the median, shrunk towards the prior; a stated range counts
/// as its quote's own scatter (half its width in logarithms).
double log_spread(const Quotes& quotes, double median) {
  double squares = kPriorQuotes * kPriorSpread * kPriorSpread;
  for (const Price* quote : quotes) {
    const double offset = std::log(quote->usd / median);
    const double half_range = quote->low && quote->high ? std::log(*quote->high / *quote->low) / 2 : 0;
    squares += offset * offset + half_range * half_range;
  }
  const auto count = static_cast<double>(quotes.size());
  return std::sqrt(squares / (kPriorQuotes + count) * (1 + 1 / count));
}

double median_of(const Quotes& quotes) {
  std::vector<double> values(quotes.size());
  std::transform(quotes.begin(), quotes.end(), values.begin(), [](const Price* quote) { return quote->usd; });
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Estimate estimate(const Quotes& quotes) {
  const double median = median_of(quotes);
  const double factor = std::exp(kZ95 * log_spread(quotes, median));
  return {.p5 = median / factor, .p50 = median, .p95 = median * factor};
}

/// The market that says least about what a buyer pays: used only where it is all there is.
std::string_view last_resort(PriceKind kind) { return kind == PriceKind::rental ? "list" : "grey"; }

template <class Concerns>
Quotes quotes_of(const std::vector<Price>& prices, PriceKind kind, const Concerns& concerns) {
  Quotes all;
  for (const Price& price : prices) {
    if (price.kind == kind && concerns(price)) all.push_back(&price);
  }
  return all;
}

Quotes without_last_resort(const Quotes& quotes, PriceKind kind) {
  Quotes kept;
  std::copy_if(quotes.begin(), quotes.end(), std::back_inserter(kept),
               [&](const Price* quote) { return quote->market != last_resort(kind); });
  return kept;
}

std::string describe(const Quotes& quotes, std::string_view chip) {
  const auto [first, last] = std::minmax_element(quotes.begin(), quotes.end(),
                                                 [](const Price* a, const Price* b) { return a->date < b->date; });
  const std::string& from = (*first)->date;
  const std::string& to = (*last)->date;
  std::string text = fmt::format("{} {} {}", quotes.size(), quotes.size() == 1 ? "quote" : "quotes", from);
  if (from != to) text += fmt::format("..{}", to);
  if (quotes.front()->chip != chip) text += fmt::format(" of the sibling {}", quotes.front()->chip);
  const auto is_last_resort = [](const Price* quote) { return quote->market == last_resort(quote->kind); };
  if (std::all_of(quotes.begin(), quotes.end(), is_last_resort)) {
    text += quotes.front()->kind == PriceKind::rental ? ", on-demand list prices only" : ", grey market only";
  }
  return text;
}

HourlyPrice from_rental(const Quotes& quotes, std::string_view chip) {
  const Estimate usd = estimate(quotes);
  return {.p5 = units::Dollars{usd.p5} / units::kHour,
          .p50 = units::Dollars{usd.p50} / units::kHour,
          .p95 = units::Dollars{usd.p95} / units::kHour,
          .basis = fmt::format("rental, {}", describe(quotes, chip))};
}

HourlyPrice from_purchase(const Quotes& quotes, std::string_view chip, units::Watts tdp, const Operating& operating) {
  const Estimate usd = estimate(quotes);
  return {.p5 = amortised({usd.p5}, tdp, operating),
          .p50 = amortised({usd.p50}, tdp, operating),
          .p95 = amortised({usd.p95}, tdp, operating),
          .basis = fmt::format("amortised purchase of {:.0f} USD ({})", usd.p50, describe(quotes, chip))};
}

}  // namespace

units::DollarsPerSecond amortised(units::Dollars price, units::Watts tdp, const Operating& operating) {
  // Epoch AI's training-cost study, arXiv 2405.21015: hardware loses a fixed share of its value in time, the network is
  // a share of the whole cluster, the server beside the GPUs draws power too.
  const double lost_per_year = operating.price_decline_per_year_log10 * std::numbers::ln10;
  const auto hardware = price * lost_per_year / units::kYear / (1 - operating.interconnect_cost_fraction);
  const auto power =
      tdp * operating.server_power_factor * operating.average_power_fraction * operating.power_usage_effectiveness;
  return hardware + power * operating.electricity;
}

std::optional<HourlyPrice> hourly_price(std::string_view chip, units::Watts tdp, const std::vector<Price>& prices,
                                        const Operating& operating, std::optional<PriceKind> only) {
  const auto own = [&](const Price& price) { return price.chip == chip; };
  const auto sibling = [&](const Price& price) {
    return std::find(price.also_for.begin(), price.also_for.end(), chip) != price.also_for.end();
  };
  const std::array<Quotes, 4> all{
      quotes_of(prices, PriceKind::rental, own), quotes_of(prices, PriceKind::purchase, own),
      quotes_of(prices, PriceKind::rental, sibling), quotes_of(prices, PriceKind::purchase, sibling)};

  const auto counts = [&](const Quotes& quotes) { return !quotes.empty() && (!only || quotes.front()->kind == *only); };
  const auto priced = [&](const Quotes& quotes) -> HourlyPrice {
    return quotes.front()->kind == PriceKind::rental ? from_rental(quotes, chip)
                                                     : from_purchase(quotes, chip, tdp, operating);
  };
  for (const Quotes& quotes : all) {
    if (!counts(quotes)) continue;
    const Quotes ordinary = without_last_resort(quotes, quotes.front()->kind);
    if (!ordinary.empty()) return priced(ordinary);
  }
  for (const Quotes& quotes : all) {
    if (counts(quotes)) return priced(quotes);
  }
  return std::nullopt;
}

}  // namespace traincost::catalog
