#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <traincost/report/budget.hpp>
#include <traincost/report/budget_rows.hpp>
#include <traincost/report/number.hpp>

namespace traincost::report {
namespace {

using Json = nlohmann::ordered_json;
using cost::Estimate;

Table totals_table(const Estimate& estimate) {
  Table table{.columns = {{"quantity", ""}, {"p50", "median"}, {"p5", "5 %"}, {"p95", "95 %"}, {"unit", ""}}};
  for (auto& column : table.columns) column.is_right = column.key.front() == 'p';
  for (const auto& total : totals()) {
    const cost::Interval& i = estimate.budget.*(total.interval);
    const auto shown = [&total](double value) { return grouped(value / total.per, total.decimals); };
    table.rows.push_back({std::string(total.title), shown(i.p50), shown(i.p5), shown(i.p95), std::string(total.unit)});
  }
  return table;
}

// What the figures rest on: a name and some words each.
Table basis_record(const Estimate& e) {
  Table record{.rows = {{}}};
  const auto add = [&record](const std::string& name, const std::string& words) {
    record.columns.push_back({name, name});
    record.rows.front().emplace_back(words);
  };
  add("layout", describe(e.job.layout));
  add("", e.layout_basis);
  add("batch", fmt::format("{} sequences of {} tokens, {} steps", grouped(e.job.layout.global_batch, 0),
                           grouped(e.job.layout.seq_len, 0), grouped(e.budget.steps, 0)));
  add("cluster", e.job.cluster.name);
  add("memory", memory_words(e));
  add("MFU", percent(e.step.mfu));
  add("goodput", fmt::format("{}; the rest of the run is lost to failures", percent(e.budget.goodput)));
  add("price", e.budget.price_basis);
  for (const auto& assumption : e.assumptions) add("assumed", assumption);
  return record;
}

std::string text(const Estimate& e) {
  return fmt::format("{}, {} tokens on {}\n\n{}\n{}\n{}", e.job.model.name, short_count(e.tokens), machine_words(e.job),
                     aligned(totals_table(e)), aligned(parts_table(e.step)), aligned_record(basis_record(e)));
}

Json interval_json(const cost::Interval& i) { return {{"p5", i.p5}, {"p50", i.p50}, {"p95", i.p95}}; }

Json layout_json(const Estimate& e) {
  const cost::Layout& l = e.job.layout;
  return {{"basis", e.layout_basis},
          {"gpus", l.gpus},
          {"tensor_par", l.tensor_par},
          {"pipeline_par", l.pipeline_par},
          {"data_par", data_par(l)},
          {"expert_par", l.expert_par},
          {"context_par", l.context_par},
          {"micro_batch", l.micro_batch},
          {"interleave", l.interleave},
          {"schedule", to_string(l.schedule)},
          {"recompute", to_string(l.recompute)},
          {"sharding", to_string(l.sharding)},
          {"dtype", work::to_string(l.dtype)},
          {"global_batch", l.global_batch},
          {"seq_len", l.seq_len}};
}

Json memory_json(const cost::Memory& m) {
  return {{"parameters", m.parameters},
          {"gradients", m.gradients},
          {"optimizer", m.optimizer},
          {"activations", m.activations},
          {"buffers", m.buffers}};
}

// Told apart as traces of pipelines tell them.
Json pipeline_json(const cost::PipelineParts& p) {
  return {{"forward", p.forward.value},         {"input_grad", p.input_grad.value},
          {"weight_grad", p.weight_grad.value}, {"forward_and_backward", p.forward_and_backward.value},
          {"bubble", p.bubble.value},           {"optimizer", p.optimizer.value}};
}

Json budget_json(const Estimate& e) {
  Json out{{"model", e.job.model.id},   {"chip", e.job.chip.id},       {"cluster", e.job.cluster.id},
           {"gpus", e.job.layout.gpus}, {"tokens", e.tokens},          {"steps", e.budget.steps},
           {"mfu", e.step.mfu},         {"goodput", e.budget.goodput}, {"fits_memory", e.fits}};
  for (const auto& total : totals()) out[total.key] = interval_json(e.budget.*(total.interval));
  out["parts"] = Json::parse(json(parts_table(e.step)));
  out["pipeline_seconds"] = pipeline_json(e.step.pipeline);
  out["memory_parts_bytes"] = memory_json(e.step.memory);
  out["layout"] = layout_json(e);
  out["price_basis"] = e.budget.price_basis;
  out["assumptions"] = e.assumptions;
  return out;
}

Table budget_csv(const Estimate& e) {
  Table table{.columns = {{"kind", ""}, {"name", ""}, {"p5", ""}, {"p50", ""}, {"p95", ""}, {"origin", ""}}};
  for (const auto& total : totals()) {
    const cost::Interval& i = e.budget.*(total.interval);
    table.rows.push_back({std::string("total"), std::string(total.key), i.p5, i.p50, i.p95, Cell{}});
  }
  for (const auto& part : e.step.parts)
    table.rows.push_back({std::string("part_seconds"), part.name, Cell{}, part.seconds.value, Cell{},
                          std::string(calibrate::to_string(part.origin))});
  return table;
}

}  // namespace

std::string budget(const Estimate& estimate, Format format) {
  switch (format) {
    case Format::json:
      return budget_json(estimate).dump(2) + "\n";
    case Format::csv:
      return csv(budget_csv(estimate));
    default:
      return text(estimate);
  }
}

}  // namespace traincost::report
