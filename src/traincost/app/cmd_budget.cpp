#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/scenario/buying_power.hpp>
#include <traincost/scenario/job_rate.hpp>
#include <traincost/scenario/rule.hpp>
#include <traincost/scenario/scaling_law.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;
using report::Section;
using report::Table;

struct Options {
  std::string chip, model = "deepseek-v3", law;
  std::optional<double> dollars, gpus, megawatts, days, usd_per_gpu_hour, job_gpus = 2048;
  std::optional<double> moe_ratio = 1, moe_exponent = 0.5, over_training = 1;
  std::optional<double> fleet_chips, fleet_usd;
  report::Format format = report::Format::table;
};

struct Hour {
  double usd;
  std::string basis;
};

Hour price_of(const catalog::Chip& chip, const Options& o) {
  if (o.usd_per_gpu_hour) return {*o.usd_per_gpu_hour, "as asked"};
  const auto price =
      catalog::hourly_price(chip.id, chip.tdp_watts.value_or(units::Watts{0}), catalog::prices(), catalog::operating());
  if (!price) throw InputError(fmt::format("--chip: no price of {} is known; give --usd-per-gpu-hour", chip.id));
  return {price->p50.value * units::kHour.value, price->basis};
}

double tdp(const catalog::Chip& chip, const Options& o) {
  if (!chip.tdp_watts && (o.megawatts || o.fleet_chips))
    throw InputError(fmt::format("--chip: the power of {} is not known", chip.id));
  return chip.tdp_watts ? chip.tdp_watts->value : 0;
}

struct Bought {
  Hour hour;
  GpuTime time;
  double flops_per_s;
  std::string origin;
};

Section means(const catalog::Chip& chip, const Bought& b) {
  Table table{.columns = {{"chip", "chip"},
                          {"gpu_hours", "GPU-hours"},
                          {"limit", "what runs out first"},
                          {"usd_per_gpu_hour", "USD per GPU-hour", 1, 2},
                          {"price_basis", "price"},
                          {"usd", "USD, million", 1e6, 3},
                          {"flops_per_s", "sustained TFLOPS", 1e12, 0},
                          {"rate_origin", "from"}},
              .rows = {}};
  table.rows.push_back({chip.id, b.time.gpu_hours, b.time.limit, b.hour.usd, b.hour.basis,
                        b.time.gpu_hours * b.hour.usd, b.flops_per_s, b.origin});
  return {"means", "", table, true};
}

Section runs(const Bought& b, const Options& o) {
  Table table{.columns = {{"law", "law"},
                          {"flop", "1e24 FLOP", 1e24, 3},
                          {"active_params", "active, billion", 1e9, 1},
                          {"total_params", "total, billion", 1e9, 1},
                          {"tokens", "tokens, trillion", 1e12, 2},
                          {"tokens_per_active_param", "tokens / parameter", 1, 1},
                          {"loss", "loss", 1, 3}},
              .rows = {}};
  const Shape shape{.total_over_active = o.moe_ratio.value_or(1),
                    .moe_exponent = o.moe_exponent.value_or(0),
                    .over_training = o.over_training.value_or(1)};
  const double flop = b.time.gpu_hours * units::kHour.value * b.flops_per_s;
  for (const auto& law : scaling_laws()) {
    if (!o.law.empty() && law.id != o.law) continue;
    const auto run = optimal_run(law, flop, shape);
    table.rows.push_back({std::string{law.id}, run.flop, run.active_params, run.total_params, run.tokens,
                          run.tokens / run.active_params, run.loss});
  }
  return {"runs", "The largest run of least loss", table};
}

// Reporting duties and presumptions that hang on the compute of a run.
Section thresholds(const Bought& b) {
  Table table{.columns = {{"rule", "rule"},
                          {"test", "test"},
                          {"effective", "effective"},
                          {"ended", "ended"},
                          {"crossed", "crossed"}},
              .rows = {}};
  RuleFigures figures;
  figures[Figure::training_ops] = b.time.gpu_hours * units::kHour.value * b.flops_per_s;
  figures[Figure::is_bio_sequence] = 0;
  for (const auto& rule : rules()) {
    if (rule.subject != Subject::training_run) continue;
    const auto finding = evaluate(rule, figures, rule.published);
    table.rows.push_back({rule.id, to_string(rule.logic), rule.effective ? to_string(*rule.effective) : "",
                          rule.ended ? to_string(*rule.ended) : "", finding.verdict == Verdict::yes});
  }
  return {"thresholds", "Compute thresholds", table};
}

Section firm(const catalog::Chip& chip, const Bought& b, const Options& o) {
  Section section{.key = "firm", .title = "The firm's year beside this run", .table = {}, .is_record = true};
  if (!o.fleet_chips) return section;
  if (!o.fleet_usd) throw InputError("--fleet-chips needs --fleet-usd, what the fleet cost");
  const auto y = firm_year({.chips = *o.fleet_chips,
                            .capex_usd = *o.fleet_usd,
                            .tdp_watts = tdp(chip, o),
                            .final_run_usd = b.time.gpu_hours * b.hour.usd,
                            .final_run_gpu_hours = b.time.gpu_hours},
                           catalog::operating());
  section.table.columns = {{"chips", "chips"},
                           {"capex_usd", "fleet cost, USD million", 1e6, 0},
                           {"amortised_usd", "loss of value in a year, USD million", 1e6, 0},
                           {"energy_usd", "energy in a year, USD million", 1e6, 1},
                           {"staff_low_usd", "staff, USD million, from", 1e6, 0},
                           {"staff_high_usd", "to", 1e6, 0},
                           {"final_run_usd", "this run, USD million", 1e6, 2},
                           {"final_run_share_of_usd", "share of the machines' year, %", 0.01, 2},
                           {"final_run_share_of_gpu_hours", "share of the fleet's GPU-hours, %", 0.01, 2}};
  section.table.rows.push_back({y.chips, y.capex_usd, y.amortised_usd, y.energy_usd, y.staff_low_usd, y.staff_high_usd,
                                y.final_run_usd, y.final_run_share_of_usd, y.final_run_share_of_gpu_hours});
  return section;
}

std::vector<std::string> assumed(const Options& o) {
  std::vector<std::string> lines{
      fmt::format("rate of {} on {:.0f} chips stands for the run's own [estimated]", o.model, o.job_gpus.value_or(0)),
      "compute = 6 x active parameters x tokens [convention]",
      fmt::format("experts count as active x (total / active)^{} parameters [assumed: no measured law]",
                  o.moe_exponent.value_or(0)),
  };
  for (const auto& law : scaling_laws())
    lines.push_back(fmt::format("{}: E={} A={} B={} alpha={} beta={} [fact: {}]", law.id, law.e, law.a, law.b,
                                law.alpha, law.beta, law.source));
  if (o.fleet_chips)
    lines.emplace_back(
        "staff is 29 to 49 % of all development cost [fact: Cottier et al., arXiv 2405.21015, of GPT-4 and "
        "Gemini]; failed runs, experiments and idle time are the rest of the fleet's year");
  return lines;
}

void run(const Options& o) {
  if (!o.law.empty() && !find_scaling_law(o.law))
    throw InputError(fmt::format("--law: '{}' (expected besiroglu or hoffmann)", o.law));
  const auto& chip = chip_named(o.chip);
  model_named(o.model);
  const auto rate = cost_job_rate({.model = o.model, .gpus = o.job_gpus.value_or(0)});
  const auto flops = rate.rate(chip);
  if (!flops) throw InputError(fmt::format("--chip: no rate of {} is known", chip.id));
  const Means m{.dollars = o.dollars,
                .chips = o.gpus,
                .watts = o.megawatts ? std::optional{*o.megawatts * 1e6} : std::nullopt,
                .days = o.days};
  const Hour hour = price_of(chip, o);
  const Bought bought{.hour = hour,
                      .time = gpu_time(m, hour.usd, tdp(chip, o), catalog::operating()),
                      .flops_per_s = *flops,
                      .origin = rate.origin(chip)};
  print(report::render({means(chip, bought), runs(bought, o), thresholds(bought), firm(chip, bought, o),
                        report::notes("assumptions", "Assumptions", assumed(o))},
                       o.format));
}

}  // namespace

void add_budget(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = add_command(
      app, "budget", "The largest run of least loss that dollars, chips or power buy, and the firm's year beside it",
      "  traincost budget --chip h800-sxm5-80gb --dollars 5.576e6 --moe-ratio 18\n"
      "  traincost budget --chip h800-sxm5-80gb --dollars 5.576e6 --fleet-chips 50000 --fleet-usd 1.6e9\n"
      "  traincost budget --chip b200-sxm --megawatts 100 --days 90 --over-training 3");
  command->add_option("--chip", o->chip, "id or alias")->required();
  add_positive(*command, "--dollars", o->dollars, "for the run");
  add_count(*command, "--gpus", o->gpus, "at hand; needs --days");
  add_positive(*command, "--megawatts", o->megawatts, "at the wall; needs --days");
  add_positive(*command, "--days", o->days, "of the run");
  add_positive(*command, "--usd-per-gpu-hour", o->usd_per_gpu_hour, "instead of the catalogue's prices");
  command->add_option("--law", o->law, "besiroglu or hoffmann (default: both)");
  add_positive(*command, "--moe-ratio", o->moe_ratio, "total / active parameters (default 1, dense)");
  add_positive(*command, "--moe-exponent", o->moe_exponent, "parameters that count: active x ratio^this (default 0.5)");
  add_positive(*command, "--over-training", o->over_training, "tokens / compute-optimal tokens (default 1)");
  command->add_option("--model", o->model, "whose rate on the chip stands for the run (default deepseek-v3)");
  add_count(*command, "--job-gpus", o->job_gpus, "on so many chips (default 2048)");
  add_count(*command, "--fleet-chips", o->fleet_chips, "the firm's chips");
  add_positive(*command, "--fleet-usd", o->fleet_usd, "what they cost, servers included");
  add_format(*command, o->format);
  command->callback([o] { run(*o); });
}

}  // namespace traincost::app
