#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <traincost/report/budget_rows.hpp>
#include <traincost/report/comparison.hpp>
#include <traincost/report/number.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::report {
namespace {

constexpr std::size_t kShownDifferences = 4;

Table chips_table(const std::vector<Compared>& chips) {
  Table table{.columns = {{"chip", "chip"},
                          {"step_seconds", "step s", 1, 2},
                          {"step_seconds_p5", "5 %", 1, 2},
                          {"step_seconds_p95", "95 %", 1, 2},
                          {"days", "days", 1, 1},
                          {"gpu_hours", "GPU-hours"},
                          {"usd", "USD"},
                          {"energy_kwh", "MWh", 1e3, 0},
                          {"memory_bytes", "GB/GPU", units::kGiga, 1},
                          {"fits_memory", "fits"},
                          {"mfu", "MFU %", 0.01, 1},
                          {"limit", "waits most for"},
                          {"layout", "layout"},
                          {"price_basis", "price"},
                          {"why_not", ""}}};
  for (const auto& c : chips) {
    if (!c.estimate) {
      std::vector<Cell> row(table.columns.size());
      row.front() = c.chip;
      row.back() = c.why_not;
      table.rows.push_back(row);
      continue;
    }
    const cost::RunBudget& b = c.estimate->budget;
    table.rows.push_back({c.chip, b.step_seconds.p50, b.step_seconds.p5, b.step_seconds.p95, b.days.p50,
                          b.gpu_hours.p50, b.usd.p50, b.energy_kwh.p50, b.memory_bytes.p50, c.estimate->fits,
                          c.estimate->step.mfu, cost::limit(c.estimate->step), describe(c.estimate->job.layout),
                          b.price_basis, Cell{}});
  }
  return table;
}

Table differences_table(const std::vector<Compared>& chips) {
  Table table{.columns = {{"chip", "chip"},
                          {"part", "part of a step"},
                          {"first_seconds", "first", 1, 3},
                          {"seconds", "this chip", 1, 3},
                          {"difference_seconds", "difference s", 1, 3}}};
  const auto first = std::find_if(chips.begin(), chips.end(), [](const auto& c) { return c.estimate.has_value(); });
  if (first == chips.end()) return table;
  for (auto other = first + 1; other != chips.end(); ++other) {
    if (!other->estimate) continue;
    auto parts = cost::differences(first->estimate->step, other->estimate->step);
    parts.resize(std::min(parts.size(), kShownDifferences));
    for (const auto& d : parts)
      table.rows.push_back({other->chip, d.name, d.first.value, d.second.value, (d.second - d.first).value});
  }
  return table;
}

std::string text(const std::vector<Compared>& chips) {
  std::string heading;
  for (const auto& c : chips)
    if (c.estimate) {
      heading = fmt::format("{}, {} tokens on {} GPUs", c.estimate->job.model.name, short_count(c.estimate->tokens),
                            grouped(c.estimate->job.layout.gpus, 0));
      break;
    }
  const Table all = chips_table(chips);
  const Table totals = select(all, {"chip", "step_seconds", "step_seconds_p5", "step_seconds_p95", "days", "gpu_hours",
                                    "usd", "energy_kwh", "memory_bytes", "fits_memory", "mfu", "limit"});
  const Table basis = select(all, {"chip", "layout", "price_basis", "why_not"});
  return fmt::format("{}\n\n{}\nWhat makes the difference to {}\n\n{}\nWhat each rests on\n\n{}", heading,
                     aligned(totals), chips.front().chip, aligned(differences_table(chips)), aligned(basis));
}

}  // namespace

std::string comparison(const std::vector<Compared>& chips, Format format) {
  if (format == Format::table) return text(chips);
  if (format == Format::csv) return csv(chips_table(chips));
  using Json = nlohmann::ordered_json;
  return Json{{"chips", Json::parse(json(chips_table(chips)))},
              {"differences", Json::parse(json(differences_table(chips)))}}
             .dump(2) +
         "\n";
}

}  // namespace traincost::report
