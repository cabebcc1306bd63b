#include <traincost/report/explanation.hpp>

#include <fmt/format.h>

#include <traincost/catalog/model.hpp>
#include <traincost/report/budget_rows.hpp>
#include <traincost/report/number.hpp>
#include <traincost/report/sections.hpp>

namespace traincost::report {

std::string explanation(const std::vector<cost::ExplainedPart>& parts, const cost::Job& job, Format format) {
  units::Seconds total, floor;
  for (const auto& part : parts) {
    total += part.seconds;
    floor += part.floor.value_or(units::Seconds{});
  }
  Table table{.columns = {{"name", "part of a step"},
                          {"category", "category"},
                          {"seconds", "seconds", 1, 3},
                          {"share", "share %", 0.01, 1},
                          {"floor_seconds", "floor s", 1, 3},
                          {"efficiency", "of floor %", 0.01, 1},
                          {"origin", "figures"},
                          {"source", "source"}}};
  for (const auto& part : parts) {
    Cell efficiency;
    if (part.floor && part.seconds.value > 0) efficiency = *part.floor / part.seconds;
    table.rows.push_back({part.name, std::string(to_string(part.category)), part.seconds.value, part.seconds / total,
                          cell(part.floor), efficiency, std::string(calibrate::to_string(part.origin)), part.source});
  }
  table.rows.push_back({std::string("whole step"), std::string(), total.value, 1.0, floor.value, floor / total,
                        std::string(), std::string("floor: data-sheet rates, nothing else waited for")});
  const auto title = fmt::format("{} on {}: {}", job.model.name, machine_words(job), describe(job.layout));
  return render({Section{.key = "explanation", .title = title, .table = table}}, format);
}

std::string ablation(const std::vector<cost::Ablation>& steps, const cost::Job& job, Format format) {
  Table table{.columns = {{"change", "change"},
                          {"total_params", "parameters B", 1e9, 1},
                          {"active_params", "active B", 1e9, 1},
                          {"step_seconds", "step s", 1, 2},
                          {"against_previous", "x previous", 1, 3},
                          {"against_first", "x first", 1, 3},
                          {"mfu", "MFU %", 0.01, 1},
                          {"memory_bytes", "memory GB", units::kGiga, 1},
                          {"layout", "fastest layout that fits"}}};
  std::optional<double> first, previous;
  for (const auto& s : steps) {
    std::vector<Cell> row{s.change, catalog::total_params(s.model), catalog::active_params(s.model)};
    if (!s.layout) {
      row.insert(row.end(), {Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, std::string("none")});
    } else {
      const double seconds = s.step.seconds.p50;
      row.insert(row.end(),
                 {seconds, previous ? Cell(seconds / *previous) : Cell{}, first ? Cell(seconds / *first) : Cell{},
                  s.step.mfu, s.step.memory.total(), describe(*s.layout)});
      if (!first) first = seconds;
      previous = seconds;
    }
    table.rows.push_back(std::move(row));
  }
  const auto title =
      fmt::format("{} on {}, {} sequences of {} tokens, step by step", job.model.name, machine_words(job),
                  grouped(job.layout.global_batch, 0), grouped(job.layout.seq_len, 0));
  return render({Section{.key = "ablation", .title = title, .table = table}}, format);
}

}  // namespace traincost::report
