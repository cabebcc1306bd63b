#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <traincost/app/command.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/cost/cache_cost.hpp>
#include <traincost/report/sections.hpp>

namespace traincost::app {
namespace {

using cost::CacheKind;
using report::Cell;
using report::Section;
using report::Table;

struct Options {
  std::string model = "deepseek-v3";
  std::vector<std::string> chips{"a100-sxm4-80gb", "h100-sxm5-80gb", "h800-sxm5-80gb",
                                 "h20-96gb",       "h200-sxm-141gb", "b200-sxm"};
  std::optional<double> batch = 128, context = 4096;
  report::Format format = report::Format::table;
};

struct Context {
  double tokens;
  const char *key, *title;
};
constexpr Context kContexts[] = {
    {4096, "sequences_4k", "fit at 4K"}, {32768, "sequences_32k", "at 32K"}, {131072, "sequences_128k", "at 128K"}};

Section by_kind(const catalog::Model& model, const std::vector<CacheKind>& kinds, const Options& o) {
  Table table{.columns = {{"cache", "cache"},
                          {"layer_bytes_per_token", "B per token and layer"},
                          {"bytes_per_token", "KB per token", 1e3, 1},
                          {"step_bytes", "GB per step and layer", 1e9, 2},
                          {"step_flops", "GFLOP per step and layer", 1e9, 1},
                          {"flops_per_byte", "FLOP / byte", 1, 1}},
              .rows = {}};
  for (const auto& kind : kinds) {
    const auto per_token = work::bytes_per_token(kind.step.cache);
    const auto step = cost::decode_step(kind, o.batch.value_or(0), o.context.value_or(0));
    const auto bytes = work::bytes(step);
    const auto flops = work::flops(step);
    table.rows.push_back({kind.name, per_token.value, (model.layers * per_token).value, bytes.value, flops.value,
                          flops.value / bytes.value});
  }
  return {"caches",
          fmt::format("{}: a step of {:.0f} sequences of {:.0f} tokens", model.id, o.batch.value_or(0),
                      o.context.value_or(0)),
          table};
}

Section by_chip(const catalog::Model& model, const std::vector<CacheKind>& kinds, const Options& o) {
  Table table{.columns = {{"cache", "cache"},
                          {"chip", "chip"},
                          {"floor_seconds", "floor per layer, us", 1e-6, 1},
                          {"step_floor_seconds", "all layers, ms", 1e-3, 2},
                          {"limit", "limit"}},
              .rows = {}};
  for (const auto& c : kContexts) table.columns.push_back({c.key, c.title});
  for (const auto& kind : kinds)
    for (const auto& name : o.chips) {
      const auto& chip = chip_named(name);
      const auto floor = cost::decode_floor(cost::decode_step(kind, o.batch.value_or(0), o.context.value_or(0)), chip);
      std::vector<Cell> row{kind.name, chip.id};
      row.emplace_back(floor ? Cell{floor->time.value} : Cell{});
      row.emplace_back(floor ? Cell{floor->time.value * model.layers} : Cell{});
      row.emplace_back(floor ? Cell{floor->is_memory_bound ? "memory" : "compute"} : Cell{});
      for (const auto& c : kContexts)
        row.push_back(report::cell(cost::sequences_in_memory(kind, model.layers, c.tokens, chip)));
      table.rows.push_back(std::move(row));
    }
  return {"chips", "The least time, and sequences whose caches fit", table};
}

void run(const Options& o) {
  const auto& model = model_named(o.model);
  const auto kinds = cost::cache_kinds(model);
  print(report::render(
      {by_kind(model, kinds, o), by_chip(model, kinds, o),
       report::notes("assumptions", "Assumptions",
                     {"floor: the larger of FLOP / dense bf16 rate and bytes / memory bandwidth of the data sheet",
                      "an fp8 cache is expanded to bf16 before it is multiplied",
                      "sequences that fit: the caches of all layers on one chip, with nothing else in its memory"})},
      o.format));
}

}  // namespace

void add_cache(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = add_command(app, "cache", "What a key-value cache costs: bytes, work and least time of a decode step",
                              "  traincost cache\n"
                              "  traincost cache --model deepseek-v2 --batch 32 --context 32768\n"
                              "  traincost cache --chips h800-sxm5-80gb,h20-96gb --format csv");
  command->add_option("--model", o->model, "whose heads and layers (default deepseek-v3)");
  command->add_option("--chips", o->chips, "ids or aliases, separated by commas")->delimiter(',');
  add_count(*command, "--batch", o->batch, "sequences of the step (default 128)");
  add_count(*command, "--context", o->context, "tokens of each (default 4096)");
  add_format(*command, o->format);
  command->callback([o] { run(*o); });
}

}  // namespace traincost::app
