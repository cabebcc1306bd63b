#include <traincost/scenario/plan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <traincost/scenario/classify.hpp>
#include <traincost/scenario/random.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

constexpr int kMonths = 3;
constexpr unsigned kMidMonth = 15;
constexpr double kH100EightBitOps = 1979e12;  // the unit of Epoch's H100-equivalents

struct Worth {
  double rate, tpp, h100e;
};

double eight_bit(const catalog::Chip& chip) {
  double ops = 0;
  for (const auto& rate : {chip.fp8_dense_flops, chip.int8_dense_ops, chip.bf16_dense_flops, chip.fp16_dense_flops})
    if (rate) ops = std::max(ops, rate->value);
  return ops;
}

const catalog::Chip& chip_of(const Supply& supply, const std::vector<catalog::Chip>& chips) {
  const auto* chip = catalog::find_chip(chips, supply.chip);
  if (!chip) throw InputError(fmt::format("supply {}: no chip '{}' in the catalogue", supply.id, supply.chip));
  return *chip;
}

Worth worth(const Supply& supply, const catalog::Chip& chip, const JobRate& rate) {
  const auto flops = rate(chip);
  const auto tpp = rule_figures(chip)[Figure::tpp];
  if (!flops || !tpp)
    throw InputError(fmt::format("supply {}: {} has no dense rate in the catalogue", supply.id, chip.id));
  return {.rate = *flops, .tpp = *tpp, .h100e = eight_bit(chip) / kH100EightBitOps};
}

// Of the three months of a quarter, those on whose 15th the line is on sale, free or under licence.
struct Open {
  double free = 0, licensed = 0;
};

Open open(const Supply& supply, const catalog::Chip& chip, const std::vector<Rule>& rules, int year, int quarter) {
  const Date from = supply.from.value_or(
      chip.release_date.empty() ? date(1970, 1, 1) : parse_date(chip.release_date, "release date of " + chip.id));
  Open open;
  for (int month = 0; month < kMonths; ++month) {
    const Date day = date(year, static_cast<unsigned>(quarter * kMonths + month + 1), kMidMonth);
    if (day < from || (supply.until && day > *supply.until)) continue;
    auto allowed = Permission::free;
    if (supply.buyer == Side::restricted && supply.channel == Channel::legal)
      allowed = permission(chip, {.as_of = day}, rules);
    if (allowed == Permission::free) open.free += 1.0 / kMonths;
    if (allowed == Permission::licence || allowed == Permission::case_by_case) open.licensed += 1.0 / kMonths;
  }
  return open;
}

void add_offers(Plan& plan, const Supply& supply, const catalog::Chip& chip, const Worth& worth,
                const std::vector<Rule>& rules) {
  Offer offer{.usd = supply.usd,
              .per_usd = 1 / supply.usd,
              .rate = worth.rate,
              .tpp = worth.tpp,
              .h100e = worth.h100e,
              .per_quarter = supply.per_year ? *supply.per_year / kQuarters : std::numeric_limits<double>::infinity(),
              .channel = supply.channel,
              .is_limited = supply.per_year.has_value()};
  auto& quarters = plan.offers[static_cast<std::size_t>(supply.buyer)];
  for (int q = 0; q < plan.quarters; ++q) {
    const Open share = open(supply, chip, rules, plan.first_year + q / kQuarters, q % kQuarters);
    for (const bool is_licensed : {false, true}) {
      offer.is_licensed = is_licensed;
      offer.open = is_licensed ? share.licensed : share.free;
      if (offer.open > 0) quarters[static_cast<std::size_t>(q)].push_back(offer);
    }
  }
}

// The table's year, or its last one with growth to come, or nothing before its first.
void add_spending(Plan& plan, const Scenario& scenario, Side side) {
  const auto s = static_cast<std::size_t>(side);
  for (int q = 0; q < plan.quarters; ++q) {
    const int year = plan.first_year + q / kQuarters;
    const Spending* latest = nullptr;
    for (const auto& row : scenario.spendings)
      if (row.buyer == side && row.year <= year) latest = &row;
    plan.usd_per_quarter[s].push_back(latest ? latest->usd / kQuarters : 0);
    plan.years_past_table[s].push_back(latest ? year - latest->year : 0);
  }
}

std::vector<std::vector<double>> correlation(const Scenario& scenario) {
  std::vector<std::vector<double>> matrix(kKnobCount, std::vector<double>(kKnobCount, 0.0));
  for (std::size_t i = 0; i < kKnobCount; ++i) matrix[i][i] = 1;
  for (const auto& c : scenario.correlations) {
    const auto a = static_cast<std::size_t>(c.a), b = static_cast<std::size_t>(c.b);
    if (a != b) matrix[a][b] = matrix[b][a] = c.rho;
  }
  return matrix;
}

int quarter_of(const Scenario& scenario, Date day) {
  const int year = static_cast<int>(day.year());
  return (year - scenario.first_year) * kQuarters +
         static_cast<int>((static_cast<unsigned>(day.month()) - 1) / kMonths);
}

}  // namespace

JobRate data_sheet_rate(double utilisation) {
  return [utilisation](const catalog::Chip& chip) -> std::optional<double> {
    if (const auto bf16 = catalog::rate(chip, work::Dtype::bf16)) return bf16->flops_per_s.value * utilisation;
    // Announced chips state fp8 alone; every chip that states both runs bf16 at half of it.
    if (chip.fp8_dense_flops) return chip.fp8_dense_flops->value / 2 * utilisation;
    return std::nullopt;
  };
}

Plan plan(const Scenario& scenario, const std::vector<catalog::Chip>& chips, const JobRate& rate) {
  Plan plan{.first_year = scenario.first_year, .quarters = (scenario.last_year - scenario.first_year + 1) * kQuarters};
  const auto rules = active_rules(scenario);
  for (auto& side : plan.offers) side.resize(static_cast<std::size_t>(plan.quarters));
  for (const auto& supply : scenario.supplies) {
    const auto& chip = chip_of(supply, chips);
    add_offers(plan, supply, chip, worth(supply, chip, rate), rules);
  }
  // The simulation sorts again by each draw's prices; this leaves it little to do.
  for (auto& side : plan.offers)
    for (auto& quarter : side)
      std::ranges::stable_sort(quarter, std::ranges::greater{}, [](const Offer& o) { return o.rate * o.per_usd; });
  for (const auto side : kSides) add_spending(plan, scenario, side);
  for (std::size_t i = 0; i < kKnobCount; ++i) plan.spreads[i] = spread(scenario.factors[i].value());
  plan.correlate = cholesky(correlation(scenario));
  plan.h100_rate = rate(*catalog::find_chip(chips, kYardstick)).value_or(0);
  plan.frontier_h100 = scenario.frontier.h100;
  plan.frontier_quarter = quarter_of(scenario, scenario.frontier.by);
  return plan;
}

Knobs draw(const Plan& plan, std::uint64_t seed, std::uint64_t index) {
  std::array<double, kKnobCount> z;
  standard_normals(seed, index, z);
  Knobs knobs;
  for (std::size_t i = 0; i < kKnobCount; ++i) {
    double correlated = 0;
    for (std::size_t j = 0; j <= i; ++j) correlated += plan.correlate[i][j] * z[j];
    knobs.values[i] = value(plan.spreads[i], correlated);
  }
  return knobs;
}

Knobs medians(const Plan& plan) {
  Knobs knobs;
  for (std::size_t i = 0; i < kKnobCount; ++i) knobs.values[i] = value(plan.spreads[i], 0);
  return knobs;
}

Knobs with(const Plan& plan, Knob knob, double z) {
  Knobs knobs = medians(plan);
  knobs[knob] = value(plan.spreads[static_cast<std::size_t>(knob)], z);
  return knobs;
}

}  // namespace traincost::scenario
