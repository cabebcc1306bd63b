#include <traincost/scenario/simulate.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace traincost::scenario {
namespace {

constexpr double kQuarterYears = 0.25;
constexpr double kDay = 86400;
constexpr double kMonthsPerYear = 12;
// Largest training runs grew 4.5-fold a year (Epoch, 2010 to 2024): used only outside the simulated years.
constexpr double kRunGrowth = 4.5;
constexpr int kGreyYear = 2024, kDomesticYear = 2025;  // the years whose rates the knobs state

/// Grows by the same factor every quarter; 1 in the middle of quarter `one_at`.
class Growth {
 public:
  Growth(double per_year, double years_from_one)
      : step_(std::pow(per_year, kQuarterYears)), now_(std::pow(per_year, years_from_one)) {}
  [[nodiscard]] double now() const { return now_; }
  void next() { now_ *= step_; }

 private:
  double step_, now_;
};

struct Fleet {
  double chips = 0, tpp = 0, h100e = 0, rate = 0;
  std::array<double, 3> rate_by_channel{};

  void retire(double kept) {
    chips *= kept;
    tpp *= kept;
    h100e *= kept;
    rate *= kept;
    for (auto& r : rate_by_channel) r *= kept;
  }
};

/// An offer as this draw sees it.
struct Lot {
  const Offer* offer;
  double usd, rate, chips;
};

struct Market {
  double grey_per_quarter = 0, grey_premium = 1, domestic_per_quarter = 0, domestic_efficiency = 1;
  double licence_rate = 0, legal_volume = 1;
  double rate_error = 1;
};

Lot lot(const Offer& offer, const Market& m, double budget) {
  switch (offer.channel) {
    case Channel::grey:
      return {&offer, offer.usd * m.grey_premium, offer.rate * m.rate_error, m.grey_per_quarter * offer.open};
    case Channel::domestic:
      return {&offer, offer.usd, offer.rate * m.domestic_efficiency, m.domestic_per_quarter * offer.open};
    case Channel::legal:
      break;
  }
  // A line on sale for part of the quarter can take that part of its budget and of its limit.
  const double allowed = offer.open * (offer.is_licensed ? m.licence_rate : 1);
  const double affordable = budget * offer.per_usd;
  const double limit = offer.is_limited ? std::min(offer.per_quarter * m.legal_volume, affordable) : affordable;
  return {&offer, offer.usd, offer.rate * m.rate_error, limit * allowed};
}

constexpr std::size_t kMostLots = 32;

// Best throughput per dollar first: with divisible lots this is the most throughput that the budget can buy, so fewer
// or smaller offers never give more.
double buy(const std::vector<Offer>& offers, const Market& market, double budget, Fleet& fleet) {
  std::array<Lot, kMostLots> lots;
  std::size_t n = 0;
  for (const auto& offer : offers) {
    const Lot next = lot(offer, market, budget);
    std::size_t at = n++;
    for (; at > 0 && next.rate * lots[at - 1].usd > lots[at - 1].rate * next.usd; --at) lots[at] = lots[at - 1];
    lots[at] = next;
    if (n == kMostLots) break;
  }
  double left = budget, bought = 0;
  for (const auto& l : std::span{lots}.first(n)) {
    if (left <= 0) break;
    const double chips = std::min(l.chips, left / l.usd);
    left -= chips * l.usd;
    bought += chips * l.rate;
    fleet.chips += chips;
    fleet.tpp += chips * l.offer->tpp;
    fleet.h100e += chips * l.offer->h100e;
    fleet.rate += chips * l.rate;
    fleet.rate_by_channel[static_cast<std::size_t>(l.offer->channel)] += chips * l.rate;
  }
  return bought;
}

/// The largest run so far, methods included, by quarter.
class Progress {
 public:
  void add(double run) {
    values_[size_] = size_ == 0 ? run : std::max(values_[size_ - 1], run);
    ++size_;
  }
  [[nodiscard]] double at(int quarter) const { return values_[static_cast<std::size_t>(quarter)]; }

  // The quarter, with fractions, in which `level` was or will be reached: geometric between quarters.
  [[nodiscard]] double when(double level) const {
    static const double slope = std::log(kRunGrowth) * kQuarterYears;
    const double first = values_[0], last = values_[size_ - 1];
    if (level <= first) return std::log(level / first) / slope;
    if (level > last) return static_cast<double>(size_ - 1) + std::log(level / last) / slope;
    const auto* next = std::lower_bound(values_.data(), values_.data() + size_, level);
    return static_cast<double>(next - values_.data()) - std::log(*next / level) / std::log(*next / *(next - 1));
  }

 private:
  std::array<double, kMostQuarters> values_;  // the first size_
  std::size_t size_ = 0;
};

struct Quarter {
  std::array<Fleet, 2> fleets;
  std::array<double, 2> usd_this_year{}, bought_this_year{};
};

constexpr std::size_t kRestricted = 0, kUnrestricted = 1;

void report(const Quarter& q, const Plan& plan, const std::array<double, 2>& run, double lag, std::span<float> out) {
  const auto put = [&](Metric metric, double x) { out[static_cast<std::size_t>(metric)] = static_cast<float>(x); };
  const auto& r = q.fleets[kRestricted];
  const auto& u = q.fleets[kUnrestricted];
  put(Metric::run_restricted, run[kRestricted]);
  put(Metric::run_unrestricted, run[kUnrestricted]);
  put(Metric::lag_months, lag);
  put(Metric::cost_ratio, (q.usd_this_year[kRestricted] / q.bought_this_year[kRestricted]) /
                              (q.usd_this_year[kUnrestricted] / q.bought_this_year[kUnrestricted]));
  put(Metric::share, r.rate / (r.rate + u.rate));
  put(Metric::fleet_chips, r.chips);
  put(Metric::fleet_tpp, r.tpp);
  put(Metric::fleet_h100e, r.h100e);
  put(Metric::fleet_job_h100, r.rate / plan.h100_rate);
  put(Metric::legal_job_h100, r.rate_by_channel[0] / plan.h100_rate);
  put(Metric::grey_job_h100, r.rate_by_channel[1] / plan.h100_rate);
  put(Metric::domestic_job_h100, r.rate_by_channel[2] / plan.h100_rate);
  put(Metric::unrestricted_h100e, u.h100e);
  put(Metric::unrestricted_job_h100, u.rate / plan.h100_rate);
}

struct MetricName {
  std::string_view key, title;
};
constexpr std::array<MetricName, kMetricCount> kMetrics{{
    {"run_restricted_flop", "largest run, restricted (FLOP)"},
    {"run_unrestricted_flop", "largest run, unrestricted (FLOP)"},
    {"lag_months", "lag (months)"},
    {"cost_ratio", "cost ratio"},
    {"share", "share of throughput"},
    {"fleet_chips", "chips, restricted"},
    {"fleet_tpp", "TPP, restricted"},
    {"fleet_h100e", "H100-equivalents, restricted"},
    {"fleet_job_h100", "throughput in the job (H100), restricted"},
    {"legal_job_h100", "of it legal"},
    {"grey_job_h100", "of it grey"},
    {"domestic_job_h100", "of it domestic"},
    {"unrestricted_h100e", "H100-equivalents, unrestricted"},
    {"unrestricted_job_h100", "throughput in the job (H100), unrestricted"},
}};

}  // namespace

std::string_view to_string(Metric metric) { return kMetrics[static_cast<std::size_t>(metric)].key; }
std::string_view title(Metric metric) { return kMetrics[static_cast<std::size_t>(metric)].title; }

Reach simulate(const Plan& plan, const Knobs& k, std::span<const int> at, std::span<float> out) {
  const double start = plan.first_year + kQuarterYears / 2;
  Growth grey(k[Knob::grey_growth], start - (kGreyYear + 0.5));
  Growth domestic(k[Knob::domestic_growth], start - kDomesticYear);
  const std::array growth{k[Knob::budget_growth_restricted], k[Knob::budget_growth_unrestricted]};
  const std::array budget{k[Knob::budget_restricted], k[Knob::budget_unrestricted]};
  const double kept = std::exp(-kQuarterYears / k[Knob::chip_life_years]);
  const double to_run = k[Knob::training_share] * k[Knob::run_days] * kDay;
  const std::array run_share{k[Knob::run_share_restricted], k[Knob::run_share_unrestricted]};
  const double delay = k[Knob::follower_delay_months] / (kMonthsPerYear * kQuarterYears);
  Market market{.grey_premium = k[Knob::grey_premium],
                .domestic_efficiency = k[Knob::domestic_efficiency],
                .licence_rate = k[Knob::licence_rate],
                .legal_volume = k[Knob::legal_volume]};

  Quarter state;
  std::array<Progress, 2> progress;
  const double method_step = std::pow(k[Knob::algorithmic_growth], kQuarterYears);
  std::array<double, 2> methods{std::pow(method_step, -delay), 1};
  std::array<double, 2> past_table{-1, -1}, grown{1, 1};
  Reach reach;
  std::size_t reported = 0;
  for (int q = 0; q < plan.quarters; ++q) {
    market.grey_per_quarter = k[Knob::grey_chips_per_year] * grey.now() * kQuarterYears;
    market.domestic_per_quarter =
        k[Knob::domestic_chips_2025] * k[Knob::domestic_yield] * domestic.now() * kQuarterYears;
    std::array<double, 2> run{};
    for (const std::size_t s : {kRestricted, kUnrestricted}) {
      const auto i = static_cast<std::size_t>(q);
      if (q % kQuarters == 0) state.usd_this_year[s] = state.bought_this_year[s] = 0;
      if (plan.years_past_table[s][i] != past_table[s]) {
        past_table[s] = plan.years_past_table[s][i];
        grown[s] = std::pow(growth[s], past_table[s]);
      }
      const double usd = plan.usd_per_quarter[s][i] * budget[s] * grown[s];
      market.rate_error = s == kRestricted ? k[Knob::rate_error] : 1;
      state.fleets[s].retire(kept);
      state.usd_this_year[s] += usd;
      state.bought_this_year[s] += buy(plan.offers[s][i], market, usd, state.fleets[s]);
      run[s] = state.fleets[s].rate * to_run * run_share[s];
      progress[s].add(run[s] * methods[s]);
      methods[s] *= method_step;
      const double cluster = run[s] / (k[Knob::run_days] * kDay * plan.h100_rate);
      if (q <= plan.frontier_quarter && cluster >= plan.frontier_h100)
        (s == kRestricted ? reach.restricted : reach.unrestricted) = true;
    }
    if (reported < at.size() && at[reported] == q)
      report(state, plan, run, 0, out.subspan(reported++ * kMetricCount, kMetricCount));
    grey.next();
    domestic.next();
  }
  // The lag looks along the other side's whole curve, so it comes last.
  for (std::size_t i = 0; i < reported; ++i) {
    const double months = kMonthsPerYear * kQuarterYears;
    out[i * kMetricCount + static_cast<std::size_t>(Metric::lag_months)] =
        static_cast<float>((at[i] - progress[kUnrestricted].when(progress[kRestricted].at(at[i]))) * months);
  }
  return reach;
}

std::vector<int> year_ends(const Plan& plan) {
  std::vector<int> quarters;
  for (int q = kQuarters - 1; q < plan.quarters; q += kQuarters) quarters.push_back(q);
  return quarters;
}

std::vector<int> all_quarters(const Plan& plan) {
  std::vector<int> quarters(static_cast<std::size_t>(plan.quarters));
  std::iota(quarters.begin(), quarters.end(), 0);
  return quarters;
}

std::string quarter_name(const Plan& plan, int quarter, bool is_year) {
  const int year = plan.first_year + quarter / kQuarters;
  return is_year ? fmt::format("{}", year) : fmt::format("{}Q{}", year, quarter % kQuarters + 1);
}

}  // namespace traincost::scenario
