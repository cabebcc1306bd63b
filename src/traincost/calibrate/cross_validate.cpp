#include <traincost/calibrate/cross_validate.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <traincost/calibrate/statistics.hpp>

namespace traincost::calibrate {
namespace {

// The more folds, the nearer to one shape at a time; small groups can afford more.
constexpr std::size_t kFolds = 5, kFoldsOfFew = 10, kFew = 5000;

// What is held out together.
using HeldOut = std::array<double, 3>;
struct HeldOutOf {
  HeldOut operator()(const work::Gemm& g) const { return {g.n, g.k, 0}; }
  HeldOut operator()(const work::Attention& a) const { return {a.h_q, a.h_kv, a.s_q}; }
  HeldOut operator()(const work::Decode& d) const { return {d.h_q, d.h_kv, d.s_kv}; }
  HeldOut operator()(const work::MoeMlp& m) const { return {m.hidden, m.width, m.num_experts}; }
  HeldOut operator()(const work::Stream& s) const { return {s.bytes, 0, 0}; }
  HeldOut operator()(const work::Quantize& q) const { return {q.m, q.k, 0}; }
  HeldOut operator()(const work::Collective& c) const { return {c.bytes, 0, 0}; }
  HeldOut operator()(const work::MoeExchange& x) const { return {x.tokens, x.hidden, x.topk}; }
};

// Spreads neighbouring shapes over the folds (splitmix64 finaliser over the bits of the figures).
std::size_t fold_of(const Truth& truth, std::size_t folds) {
  std::uint64_t mixed = 0;
  for (double v : std::visit(HeldOutOf{}, truth.op)) {
    mixed += static_cast<std::uint64_t>(v * 16) + 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    mixed ^= mixed >> 31U;
  }
  return mixed % folds;
}

double roofline(const Truth& t) { return std::max(t.load.flops_s, t.load.bytes_s); }

double constant(const std::vector<Truth>& truths) {
  std::vector<double> ratios;
  ratios.reserve(truths.size());
  for (const auto& t : truths) ratios.push_back(t.seconds / roofline(t));
  return quantile(ratios, 0.5);
}

struct Errors {
  std::vector<double> ours, baseline;
};

void score(Errors& errors, const std::vector<Truth>& test, const Surface& surface, double sustained, double constant) {
  for (const auto& t : test) {
    errors.ours.push_back(std::abs(seconds(surface, slowed(t.load, sustained)) / t.seconds - 1));
    errors.baseline.push_back(std::abs(constant * roofline(t) / t.seconds - 1));
  }
}

// What the other library's timing of the very same shape would have missed by.
double second_median(const std::vector<Truth>& truths) {
  std::vector<double> errors;
  for (const auto& t : truths)
    if (t.second > 0) errors.push_back(t.second / t.seconds - 1);
  return quantile(errors, 0.5);
}

Score summary(const Errors& errors, const SurfaceKey& key, const std::vector<Truth>& truths) {
  const auto& [kind, dtype, chip] = key;
  return {.kind = kind,
          .dtype = dtype,
          .chip = chip,
          .from = {},
          .shapes = errors.ours.size(),
          .median = quantile(errors.ours, 0.5),
          .p90 = quantile(errors.ours, 0.9),
          .baseline_median = quantile(errors.baseline, 0.5),
          .second_median = second_median(truths)};
}

Errors leave_shapes_out(Kind kind, work::Dtype dtype, const std::vector<Truth>& truths, const Figures& figures) {
  Errors errors;
  const std::size_t folds = truths.size() < kFew ? kFoldsOfFew : kFolds;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<Truth> train, test;
    for (const auto& t : truths) (fold_of(t, folds) == fold ? test : train).push_back(t);
    if (train.empty() || test.empty()) continue;
    score(errors, test, fit_surface(kind, dtype, {}, train, figures), 1, constant(train));
  }
  return errors;
}

// The truths of the kind and format on other chips.
std::vector<Truth> others(const Truths& truths, Kind kind, work::Dtype dtype, const std::string& chip) {
  std::vector<Truth> out;
  for (const auto& [key, group] : truths)
    if (std::get<0>(key) == kind && std::get<1>(key) == dtype && std::get<2>(key) != chip)
      out.insert(out.end(), group.begin(), group.end());
  return out;
}

}  // namespace

std::vector<Score> leave_shapes_out(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                    const Progress& progress) {
  std::vector<Score> scores;
  for (const auto& [key, group] : truths) {
    const auto& [kind, dtype, chip] = key;
    scores.push_back(summary(leave_shapes_out(kind, dtype, group, figures_of(chips, key)), key, group));
    if (progress) progress(scores.size(), truths.size());
  }
  return scores;
}

std::vector<Score> leave_chip_out(const Truths& truths, const std::vector<catalog::Chip>& chips,
                                  const Progress& progress) {
  Efficiency::Fitted fitted;
  fitted.donors = donors_of(truths, chips);
  for (const auto& [key, group] : truths)
    fitted.surfaces.push_back(
        fit_surface(std::get<0>(key), std::get<1>(key), std::get<2>(key), group, figures_of(chips, key)));
  std::vector<Score> scores;
  for (const auto& [key, group] : truths) {
    const auto& [kind, dtype, chip] = key;
    const auto rest = others(truths, kind, dtype, chip);
    if (rest.empty()) continue;
    const auto own = std::ranges::find(fitted.donors, chip, &Donor::chip);
    const auto near = siblings(fitted, kind, dtype, *own);
    const auto all = typical(fitted.surfaces, kind, dtype, chip);
    Surface pooled;
    if (near.empty()) {
      const auto pooled_truths = pools(truths, chips, chip);
      auto found = pooled_truths.find({kind, dtype, own->pool});
      if (found == pooled_truths.end()) found = pooled_truths.find({kind, dtype, kStackedPool});
      if (found == pooled_truths.end()) continue;
      pooled = fit_pool(truths, chips, found->first, found->second, all, chip);
    }
    Errors errors;
    const auto& donor = near.empty() ? pooled : *near.front();
    score(errors, group, donor, sustained(donor, watts_per_flops(*catalog::find_chip(chips, chip), dtype), all),
          constant(rest));
    scores.push_back(summary(errors, key, group));
    scores.back().from = near.empty() ? "pool" : "sibling " + near.front()->chip;
    if (progress) progress(scores.size(), truths.size());
  }
  return scores;
}

Truths among(const Truths& truths, const std::vector<std::string>& chips) {
  Truths out;
  for (const auto& [key, group] : truths)
    if (std::ranges::find(chips, std::get<2>(key)) != chips.end()) out.emplace(key, group);
  return out;
}

}  // namespace traincost::calibrate
