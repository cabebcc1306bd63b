#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/app/compared_jobs.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/app/run_options.hpp>
#include <traincost/report/comparison.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

struct Options {
  RunOptions run;
  std::vector<std::string> chips;
  std::string job;
  report::Format format = report::Format::table;
};

// A chip that cannot run the job, or whose figures are not known, gets a line that says so.
report::Compared compared(cost::Request request, const catalog::Chip& chip, const calibrate::Efficiency& efficiency,
                          const std::vector<catalog::Price>& prices) {
  report::Compared out{.chip = chip.id};
  request.chip = chip;
  try {
    request.cluster = catalog::default_cluster(chip);
    out.estimate = cost::estimate(request, efficiency, prices, catalog::operating());
  } catch (const InputError& why) {
    out.why_not = why.what();
  }
  return out;
}

// A rental holds the owner's margin, an amortised purchase does not: chips compare on one footing only. The first kind
// of price that is known for all of them; all kinds where none is.
std::vector<catalog::Price> on_one_footing(const std::vector<catalog::Price>& prices,
                                           const std::vector<catalog::Chip>& chips) {
  for (const auto kind : {catalog::PriceKind::rental, catalog::PriceKind::purchase}) {
    const bool is_common = std::all_of(chips.begin(), chips.end(), [&](const catalog::Chip& chip) {
      const auto tdp = chip.tdp_watts.value_or(units::Watts{});
      return catalog::hourly_price(chip.id, tdp, prices, catalog::operating(), kind).has_value();
    });
    if (!is_common) continue;
    std::vector<catalog::Price> out;
    std::copy_if(prices.begin(), prices.end(), std::back_inserter(out),
                 [kind](const catalog::Price& price) { return price.kind == kind; });
    return out;
  }
  return prices;
}

std::string run(const Options& o) {
  const cost::Request request = request_of(o.run);
  std::vector<catalog::Chip> chips;
  chips.reserve(o.chips.size());
  for (const auto& name : o.chips) chips.push_back(chip_named(name));
  const auto efficiency = efficiency_of(o.run.calibration);
  const auto prices = on_one_footing(prices_of(o.run), chips);
  if (!o.job.empty()) return compared_jobs(o.job, request, chips, efficiency, prices, o.format);
  std::vector<report::Compared> rows;
  rows.reserve(chips.size());
  for (const auto& chip : chips) rows.push_back(compared(request, chip, efficiency, prices));
  return report::comparison(rows, o.format);
}

}  // namespace

void add_compare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "compare", "The same run on several chips, and which part of a step makes the difference",
      "  traincost compare --model deepseek-v3 --chips h100-sxm5-80gb,h800-sxm5-80gb --gpus 2048 --tokens 14.8e12\n"
      "  traincost compare --model llama-3-70b --chips h200,b200,mi300x --gpus 1024 --tokens 15e12 --format csv\n"
      "  traincost compare --job all --model deepseek-v3 --chips h100-sxm5-80gb,h800-sxm5-80gb,h20-96gb --gpus 2048");
  add_run_options(*command, o->run);
  command->add_option("--chips", o->chips, "chips of the catalogue; the others are compared with the first")
      ->delimiter(',')
      ->required();
  command->add_option("--job", o->job,
                      "pretraining, rollouts, rl or all: chips needed to match the first, what limits each, and what "
                      "each restricted figure costs");
  add_format(*command, o->format);
  command->callback([o] { print(run(*o)); });
}

}  // namespace traincost::app
