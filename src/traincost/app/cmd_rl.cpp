#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/scenario/job_rate.hpp>
#include <traincost/scenario/rl.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;
using report::Cell;
using report::Section;
using report::Table;

struct Options {
  std::vector<std::string> chips{"h800-sxm5-80gb", "h100-sxm5-80gb", "h200-sxm-141gb", "h20-96gb"};
  std::optional<double> expert_gpus = 64;
  report::Format format = report::Format::table;
};

constexpr const char* kModel = "deepseek-v3";
constexpr double kJobGpus = 512;  // the updates run on the same GPUs

struct Attention {
  catalog::AttentionKind kind;
  const char* name;
};
constexpr Attention kAttentions[] = {{catalog::AttentionKind::mla, "MLA"},
                                     {catalog::AttentionKind::gqa, "GQA, 8 groups"},
                                     {catalog::AttentionKind::mha, "MHA"}};

Server server_of(const catalog::Chip& chip, const Options& o) {
  return {.model = model_named(kModel),
          .chip = chip,
          .cluster = catalog::default_cluster(chip),
          .expert_gpus = o.expert_gpus.value_or(0)};
}

Cell cell_if(bool is_known, double value) { return is_known ? Cell{value} : Cell{}; }

Section account() {
  const R1Account r1;
  Table table{.columns = {{"part", "published"}, {"gpu_hours", "H800-hours"}, {"usd", "USD at 2 per hour"}},
              .rows = {}};
  const auto add = [&](const char* name, double gpu_hours) {
    table.rows.push_back({name, gpu_hours, gpu_hours * r1.usd_per_gpu_hour});
  };
  add("R1-Zero: 512 GPUs x 198 h", r1.zero_gpu_hours());
  add("R1: 512 GPUs x 80 h", r1.r1_gpu_hours());
  add("data", r1.data_gpu_hours);
  add("all", r1.total_gpu_hours());
  return {"published", "What DeepSeek published of R1", table};
}

struct Priced {
  catalog::Chip chip;
  RlCost cost;
  RlRange open;
};

Section by_chip(const std::vector<Priced>& priced) {
  Table table{.columns = {{"chip", "R1-Zero on 512"},
                          {"gpu_hours", "GPU-hours"},
                          {"low", "least"},
                          {"high", "most"},
                          {"rollout_share", "rollouts, %", 0.01, 0},
                          {"update_share", "updates, %", 0.01, 0},
                          {"other_share", "rest, %", 0.01, 0},
                          {"against_published", "against 101K, %", 0.01, 0}},
              .rows = {}};
  const double published = R1Account{}.zero_gpu_hours();
  for (const auto& p : priced)
    table.rows.push_back(
        {p.chip.id, cell_if(p.cost.fits, p.cost.gpu_hours), cell_if(p.open.high > 0, p.open.low),
         cell_if(p.open.high > 0, p.open.high), cell_if(p.cost.fits, p.cost.rollout_share),
         cell_if(p.cost.fits, p.cost.update_share), cell_if(p.cost.fits, p.cost.other_share),
         p.chip.id == "h800-sxm5-80gb" ? cell_if(p.cost.fits, p.cost.gpu_hours / published - 1) : Cell{}});
  return {"chips", "R1-Zero from its stated configuration (least and most: over what was not stated)", table};
}

Section by_attention(const catalog::Chip& chip, double rate, const calibrate::ChipEfficiency& efficiency,
                     const Options& o) {
  Table table{.columns = {{"attention", "attention"},
                          {"cache_bytes_per_token", "cache per token, KB", 1e3, 0},
                          {"sequences_8k", "answers that fit at 8K"},
                          {"sequences_32k", "at 32K"},
                          {"decode_seconds", "step of 16 answers at 8K, ms", 1e-3, 1},
                          {"gpu_hours", "R1-Zero, GPU-hours"}},
              .rows = {}};
  for (const auto& a : kAttentions) {
    Server server = server_of(chip, o);
    server.model = with_attention(server.model, a.kind);
    const auto cost = rl_cost(r1_zero(), server, rate, efficiency);
    const double at_8k = std::floor(sequences_that_fit(server, 8192));
    const auto step = decode_step(server, {.busiest = 16, .mean = 16, .context = 8192, .s_q = 2}, efficiency);
    table.rows.push_back({a.name, cache_bytes_per_token(server.model).value, at_8k,
                          std::floor(sequences_that_fit(server, 32768)), cell_if(at_8k >= 16, step.seconds.value),
                          cell_if(cost.fits, cost.gpu_hours)});
  }
  return {"attention_" + chip.id, fmt::format("What the compressed cache saves on {}", chip.id), table};
}

std::vector<std::string> notes(const Priced& first) {
  auto lines = r1_zero().sources;
  lines.emplace_back(
      "updates: 6 + 2 x 2 FLOP per active parameter and token (policy, old policy, reference) at the cost "
      "model's training rate [estimated]");
  if (!first.cost.fits) return lines;
  constexpr std::size_t kAt8500Tokens = 4;  // the phase of answers of 8,500 tokens
  const double per_step = first.cost.phases.at(kAt8500Tokens).total() / r1_zero().steps_per_round;
  lines.push_back(fmt::format(
      "R1 itself: its number of steps is not published; its 80 hours are about {:.0f} steps of {:.0f} s, the cost of a "
      "step on {} at answers of 8,500 tokens [unknown]",
      R1Account{}.r1_hours * units::kHour.value / per_step, per_step, first.chip.id));
  return lines;
}

void run(const Options& o) {
  const auto rates = cost_job_rate({.model = kModel, .gpus = kJobGpus});
  std::vector<Priced> priced;
  std::vector<Section> attention;
  for (const auto& name : o.chips) {
    const auto& chip = chip_named(name);
    const auto rate = rates.rate(chip);
    if (!rate) throw InputError(fmt::format("--chips: no rate of {} is known", chip.id));
    const auto efficiency = calibrate::default_efficiency().on(chip);
    const Server server = server_of(chip, o);
    priced.push_back(
        {chip, rl_cost(r1_zero(), server, *rate, efficiency), open_range(r1_zero(), server, *rate, efficiency)});
    attention.push_back(by_attention(chip, *rate, efficiency, o));
  }
  std::vector<Section> sections{by_chip(priced), account()};
  sections.insert(sections.end(), attention.begin(), attention.end());
  sections.push_back(report::notes("assumptions", "Assumptions", notes(priced.front())));
  print(report::render(sections, o.format));
}

}  // namespace

void add_rl(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command =
      add_command(app, "rl", "Reinforcement learning: rollouts on decode kernels, and what the cache decides",
                  "  traincost rl\n  traincost rl --chips h800-sxm5-80gb,h20-96gb --format csv");
  command->add_option("--chips", o->chips, "chips of the catalogue")->delimiter(',');
  add_count(*command, "--expert-gpus", o->expert_gpus, "GPUs that share the experts of a rollout (default 64)");
  add_format(*command, o->format);
  command->callback([o] { run(*o); });
}

}  // namespace traincost::app
