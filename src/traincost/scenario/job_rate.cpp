#include <traincost/scenario/job_rate.hpp>

#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>

#include <traincost/scenario/best_estimate.hpp>
#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

// Median utilisation of published runs (Epoch, training-cost study: 0.375).
constexpr double kMedianUtilisation = 0.375;

struct Known {
  double flops_per_s = 0;
  std::string origin;
};

std::string origins(const cost::StepCost& step) {
  std::set<std::string> names;
  for (const auto& part : step.parts) names.emplace(calibrate::to_string(part.origin));
  std::string text;
  for (const auto& name : names) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text;
}

std::optional<Known> priced(const catalog::Model& model, double gpus, const catalog::Chip& chip) {
  const auto best = best_estimate(model, chip, catalog::default_cluster(chip), gpus, calibrate::default_efficiency());
  if (!best) return std::nullopt;
  return Known{sustained_flops(*best),
               fmt::format("cost model ({}), {}", origins(best->step), cost::describe(best->job.layout))};
}

class CostRates {
 public:
  explicit CostRates(const Job& job) : gpus_(job.gpus) {
    const auto* model = catalog::find_model(catalog::models(), job.model);
    if (!model) throw InputError(fmt::format("job_model: no model '{}' in the catalogue", job.model));
    model_ = *model;
    const auto& h100 = *catalog::find_chip(catalog::chips(), kYardstick);
    const auto peak = data_sheet_rate(1)(h100);
    if (const auto known = priced(model_, gpus_, h100)) utilisation_ = known->flops_per_s / peak.value_or(1);
  }

  const std::optional<Known>& of(const catalog::Chip& chip) {
    const auto [at, is_new] = known_.try_emplace(chip.id);
    if (is_new) at->second = find(chip);
    return at->second;
  }

 private:
  [[nodiscard]] std::optional<Known> find(const catalog::Chip& chip) const {
    if (auto known = priced(model_, gpus_, chip)) return known;
    const auto sheet = data_sheet_rate(utilisation_)(chip);
    if (!sheet) return std::nullopt;
    return Known{*sheet, "data sheet at the H100's utilisation: the cost model cannot place the job on it"};
  }

  catalog::Model model_;
  double gpus_, utilisation_ = kMedianUtilisation;
  std::map<std::string, std::optional<Known>> known_;
};

}  // namespace

NamedJobRate data_sheet_job_rate() {
  return {.rate = data_sheet_rate(kMedianUtilisation),
          .origin = [](const catalog::Chip&) { return "data sheet, bf16 dense x 0.375 (median of published runs)"; }};
}

NamedJobRate cost_job_rate(const Job& job) {
  auto rates = std::make_shared<CostRates>(job);
  return {.rate = [rates](const catalog::Chip& chip) -> std::optional<double> {
            const auto& known = rates->of(chip);
            return known ? std::optional{known->flops_per_s} : std::nullopt;
          },
          .origin =
              [rates](const catalog::Chip& chip) {
                const auto& known = rates->of(chip);
                return known ? known->origin : std::string{"none"};
              }};
}

std::vector<std::string> describe(const NamedJobRate& rate, const Scenario& scenario,
                                  const std::vector<catalog::Chip>& chips) {
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const auto& supply : scenario.supplies) {
    const auto* chip = catalog::find_chip(chips, supply.chip);
    if (!chip || !seen.insert(chip->id).second) continue;
    lines.push_back(fmt::format("{}: {:.0f} TFLOPS sustained; {}", chip->id,
                                rate.rate(*chip).value_or(0) / units::kTera, rate.origin(*chip)));
  }
  return lines;
}

}  // namespace traincost::scenario
