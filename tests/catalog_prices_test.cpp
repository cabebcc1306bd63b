#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <set>
#include <string>

#include <fmt/format.h>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/price.hpp>
#include <traincost/units/error.hpp>

namespace traincost::catalog {
namespace {

using units::Watts;

double per_hour(units::DollarsPerSecond price) { return (price * units::kHour).value; }

HourlyPrice price_of(std::string_view id, const std::vector<Price>& all = prices()) {
  const Chip* chip = find_chip(chips(), id);
  if (chip == nullptr) throw InputError("no chip " + std::string(id));
  const auto price = hourly_price(chip->id, chip->tdp_watts.value_or(Watts{}), all, operating());
  if (!price) throw InputError("no price of " + std::string(id));
  return *price;
}

TEST(Amortised, TheWorkedH100Hour) {
  const double hardware = 33810 * 0.14 * std::numbers::ln10 / 8766 / 0.81;  // 1.535
  const double energy = 0.7 * 1.821 * 0.75 * 1.25 * 0.0806;                 // 0.096
  const double total = per_hour(amortised({33810}, Watts{700}, operating()));
  EXPECT_NEAR(total, hardware + energy, 1e-12);
  EXPECT_NEAR(total, 1.63, 0.005);
  EXPECT_NEAR(per_hour(amortised({0}, Watts{700}, operating())), 0.096, 0.0005);
}

TEST(Prices, NameChipsOfTheCatalogueAndTheirSource) {
  for (const Price& price : prices()) {
    ASSERT_NE(find_chip(chips(), price.chip), nullptr) << price.chip;
    EXPECT_EQ(find_chip(chips(), price.chip)->id, price.chip);
    for (const auto& id : price.also_for) ASSERT_NE(find_chip(chips(), id), nullptr) << id;
    EXPECT_FALSE(price.source.empty());
    EXPECT_GE(price.date, "2022") << price.chip;
    EXPECT_LT(price.date, "2027") << price.chip;
  }
  EXPECT_EQ(prices().size(), 79u);
}

// A price of eight chips, or one in yuan, taken for a price of one in dollars would leave these bounds.
TEST(Prices, HaveTheMagnitudeOfTheirUnit) {
  for (const Price& price : prices()) {
    const bool is_rental = price.kind == PriceKind::rental;
    EXPECT_GE(price.usd, is_rental ? 0.3 : 1400) << price.chip;
    EXPECT_LE(price.usd, is_rental ? 13 : (price.market == "grey" ? 140000 : 70000)) << price.chip;
    EXPECT_LE(price.low.value_or(price.usd), price.usd) << price.chip;
    EXPECT_GE(price.high.value_or(price.usd), price.usd) << price.chip;
  }
}

TEST(Prices, TheRentalOfTheDeepSeekReport) {
  const auto is_it = [](const Price& price) {
    return price.chip == "h800-sxm5-80gb" && price.kind == PriceKind::rental && price.usd == 2.0 &&
           price.date == "2024-12";
  };
  EXPECT_EQ(std::count_if(prices().begin(), prices().end(), is_it), 1);
}

TEST(HourlyPrice, OfTheChipsThatAreCompared) {
  for (const char* id : {"h800-sxm5-80gb", "h100-sxm5-80gb", "h200-sxm-141gb", "a100-sxm4-80gb", "a800-sxm4-80gb",
                         "h20-96gb", "b200-sxm", "ascend-910c"}) {
    const HourlyPrice price = price_of(id);
    EXPECT_LT(price.p5, price.p50) << id;
    EXPECT_LT(price.p50, price.p95) << id;
    EXPECT_GT(per_hour(price.p5), 0.2) << id;
    EXPECT_LT(per_hour(price.p95), 12) << id;
    EXPECT_FALSE(price.basis.empty()) << id;
  }
}

TEST(HourlyPrice, SaysWhatItStandsOn) {
  EXPECT_EQ(price_of("h800").basis, "rental, 2 quotes 2024-08-24..2024-12");
  EXPECT_NEAR(per_hour(price_of("h800").p50), (2.0 + 3.42) / 2, 1e-12);
  EXPECT_EQ(price_of("h100").basis, "rental, 9 quotes 2023-06-20..2026-05");
  EXPECT_NEAR(per_hour(price_of("h100").p50), 2.94, 1e-12);
  EXPECT_EQ(price_of("a800-sxm4-80gb").basis, "rental, 2 quotes 2025-03-03 of the sibling a800-pcie-80gb");
  // The one rental of an H200 is a list price of 10.60 an hour: the purchase says more.
  EXPECT_EQ(price_of("h200").basis, "amortised purchase of 33821 USD (3 quotes 2024-03-27..2025-12)");
  EXPECT_EQ(price_of("ascend-910c").basis, "amortised purchase of 25000 USD (1 quote 2025)");
}

TEST(HourlyPrice, OfOneKindOnly) {
  const auto only = [](std::string_view id, PriceKind kind) {
    const auto price = hourly_price(id, Watts{700}, prices(), operating(), kind);
    return price ? price->basis : "none";
  };
  EXPECT_EQ(only("h800-sxm5-80gb", PriceKind::purchase),
            "amortised purchase of 36284 USD (3 quotes 2023-03..2025-02-21)");
  EXPECT_EQ(only("h200-sxm-141gb", PriceKind::rental), "rental, 1 quote 2025-03-17, on-demand list prices only");
  EXPECT_EQ(only("h20-96gb", PriceKind::rental), "none");
  for (const char* id : {"h800-sxm5-80gb", "h100-sxm5-80gb", "h200-sxm-141gb", "a100-sxm4-80gb", "a800-sxm4-80gb",
                         "h20-96gb", "b200-sxm", "ascend-910c"}) {
    EXPECT_NE(only(id, PriceKind::purchase), "none") << id;
  }
}

constexpr const char* kRow = "source = \"s\"\nconfirmed = \"yes\"\n";

std::vector<Price> quotes(const std::string& kind, const std::string& market, const std::vector<double>& usd) {
  std::string text;
  for (const double value : usd) {
    text += fmt::format("[[price]]\nchip = \"x\"\ndate = \"2025\"\nkind = \"{}\"\nmarket = \"{}\"\nusd = {:f}\n{}",
                        kind, market, value, kRow);
  }
  return parse_prices(text, "my.toml");
}

HourlyPrice of_x(const std::vector<Price>& all) {
  return hourly_price("x", Watts{700}, all, operating()).value_or(HourlyPrice{});
}

TEST(HourlyPrice, SpreadShrinksWithAgreeingQuotesAndGrowsWithUnlikeOnes) {
  const auto factor = [](const HourlyPrice& price) { return price.p95 / price.p50; };
  const double one = factor(of_x(quotes("rental", "cloud", {2})));
  const double ten_alike = factor(of_x(quotes("rental", "cloud", std::vector<double>(10, 2.0))));
  const double unlike = factor(of_x(quotes("rental", "cloud", {1, 2, 4})));
  EXPECT_NEAR(one, std::exp(1.645 * 0.25 * std::sqrt(2.0 / 3 * 2)), 1e-12);
  EXPECT_LT(ten_alike, one);
  EXPECT_GT(unlike, one);
}

// The constant that stands in for a chip's own spread is what the H100's market quotes show.
TEST(HourlyPrice, PriorSpreadIsThatOfTheH100) {
  double squares = 0;
  int count = 0;
  for (const Price& price : prices()) {
    if (price.chip != "h100-sxm5-80gb" || price.kind != PriceKind::rental || price.market != "cloud") continue;
    squares += std::pow(std::log(price.usd / 2.94), 2);
    ++count;
  }
  EXPECT_EQ(count, 9);
  EXPECT_NEAR(std::sqrt(squares / count), 0.25, 0.005);
}

TEST(HourlyPrice, ListRentalsAndGreyPurchasesAreTheLastResort) {
  auto both = quotes("rental", "list", {10});
  const auto grey = quotes("purchase", "grey", {90000});
  EXPECT_EQ(of_x(both).basis, "rental, 1 quote 2025, on-demand list prices only");
  both.insert(both.end(), grey.begin(), grey.end());
  EXPECT_EQ(of_x(both).basis, "rental, 1 quote 2025, on-demand list prices only");
  EXPECT_EQ(of_x(grey).basis, "amortised purchase of 90000 USD (1 quote 2025, grey market only)");
  const auto bought = quotes("purchase", "list", {30000});
  both.insert(both.end(), bought.begin(), bought.end());
  EXPECT_EQ(of_x(both).basis, "amortised purchase of 30000 USD (1 quote 2025)");
  EXPECT_FALSE(hourly_price("y", Watts{700}, both, operating()).has_value());
}

std::string refusal(const std::string& rest) {
  try {
    parse_prices("[[price]]\nchip = \"x\"\nkind = \"purchase\"\nmarket = \"list\"\n" + std::string(kRow) + rest,
                 "my.toml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(ParsePrices, ReadsYuanAndServersOfEight) {
  const auto all = parse_prices(
      "[[price]]\nchip = \"x\"\nkind = \"purchase\"\nmarket = \"street\"\ndate = \"2025-12\"\ncny = 1.6e6\ngpus = 8\n"
      "cny_per_usd = 8\nlow = 0.8e6\nhigh = 3.2e6\n" +
          std::string(kRow),
      "my.toml");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_DOUBLE_EQ(all[0].usd, 25000);
  EXPECT_DOUBLE_EQ(all[0].low.value_or(0), 12500);
  EXPECT_DOUBLE_EQ(all[0].high.value_or(0), 50000);
}

TEST(ParsePrices, RefusesWhatItCannotUse) {
  EXPECT_EQ(refusal("date = \"2025\"\nusd = 1\n"), "nothing thrown");
  EXPECT_EQ(refusal("date = \"May 2025\"\nusd = 1\n"),
            "my.toml:7: date = \"May 2025\": expected a date such as 2024, 2024-12 or 2024-12-17");
  EXPECT_EQ(refusal("date = \"2025\"\n"), "my.toml: usd is missing: expected a price, or low and high");
  EXPECT_EQ(refusal("date = \"2025\"\nusd = -1\n"),
            "my.toml:8: usd = -1: expected a finite number that is not negative");
  EXPECT_EQ(refusal("date = \"2025\"\ncny = 7\n"),
            "my.toml: cny_per_usd is missing: expected the rate that converts cny");
  EXPECT_EQ(refusal("date = \"2025\"\nusd = 1\nprise = 2\n"), "my.toml:9: prise = 2: unknown key");
  EXPECT_EQ(refusal("date = \"2025\"\nlow = 3\nhigh = 2\n"), "my.toml:8: low = 3: expected a figure below high");
}

TEST(PricesWith, AUsersPricesReplaceThoseOfTheirChip) {
  const auto path = std::filesystem::path(testing::TempDir()) / "traincost_my_prices.toml";
  std::ofstream(path) << "[[price]]\nchip = \"h800-sxm5-80gb\"\nkind = \"rental\"\nmarket = \"cloud\"\n"
                         "date = \"2026-01\"\nusd = 1.25\nsource = \"our contract\"\nconfirmed = \"yes\"\n";
  const auto all = prices_with({path});
  std::filesystem::remove(path);
  EXPECT_NEAR(per_hour(price_of("h800", all).p50), 1.25, 1e-12);
  EXPECT_NEAR(per_hour(price_of("h100", all).p50), 2.94, 1e-12);
}

}  // namespace
}  // namespace traincost::catalog
