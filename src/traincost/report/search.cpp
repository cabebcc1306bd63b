#include <traincost/report/search.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <traincost/report/number.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::report {
namespace {

using cost::Found;
using cost::Layout;

std::string execution_words(const Layout& l) {
  std::vector<std::string> words;
  if (l.tensor_par > 1) {
    words.emplace_back(l.sequence_par ? "sequence-parallel" : "all-reduce");
    if (l.keeps_gathered) words.emplace_back("keeps gathered");
    if (!l.scatters_sends) words.emplace_back("sends whole");
  }
  if (l.tensor_overlap != cost::TensorOverlap::by_stack)
    words.push_back(fmt::format("overlap {}", to_string(l.tensor_overlap)));
  if (l.placement != cost::Placement::tensor_first) words.emplace_back(to_string(l.placement));
  if (l.offload.weights) words.emplace_back("weights on host");
  if (l.offload.activations) words.emplace_back("activations on host");
  if (l.offload.optimizer) words.emplace_back("optimizer on host");
  return joined(words, ", ");
}

const std::vector<Column>& columns() {
  static const std::vector<Column> kColumns{{"gpus", "GPUs"},
                                            {"tensor_par", "TP"},
                                            {"pipeline_par", "PP"},
                                            {"context_par", "CP"},
                                            {"expert_par", "EP"},
                                            {"data_par", "DP"},
                                            {"micro_batch", "micro"},
                                            {"schedule", "schedule"},
                                            {"interleave", "x"},
                                            {"recompute", "recompute"},
                                            {"recompute_share", "of %", 0.01},
                                            {"sharding", "sharding"},
                                            {"dtype", "format"},
                                            {"step_seconds", "step s", 1, 4},
                                            {"memory_bytes", "memory GB", units::kGiga, 1},
                                            {"step_usd", "USD per step", 1, 4},
                                            {"step_kwh", "kWh per step", 1, 4},
                                            {"execution", "execution"}};
  return kColumns;
}

Table layouts(const std::vector<Found>& found, const cost::Space& space, bool has_execution) {
  Table table{.columns = columns()};
  for (const auto& f : found) {
    const Layout l = cost::layout_at(space, f.index);
    table.rows.push_back({l.gpus, l.tensor_par, l.pipeline_par, l.context_par, l.expert_par, data_par(l), l.micro_batch,
                          std::string(to_string(l.schedule)), l.interleave, std::string(to_string(l.recompute)),
                          l.recompute_share, std::string(to_string(l.sharding)), std::string(work::to_string(l.dtype)),
                          f.seconds, f.memory_bytes, f.usd, f.energy_kwh, execution_words(l)});
  }
  if (has_execution) return table;
  table.columns.pop_back();
  for (auto& row : table.rows) row.pop_back();
  return table;
}

double rate(const cost::SearchState& s) { return static_cast<double>(s.counts.evaluated) / std::max(s.seconds, 1e-9); }

Section summary(const cost::SearchState& s, const cost::Space& space, const cost::Job& job) {
  const auto whole = [](auto count) { return static_cast<double>(count); };
  return {.key = "summary",
          .title = fmt::format("{} on {}, {} sequences of {} tokens", job.model.name, job.cluster.name,
                               grouped(space.rest.global_batch, 0), grouped(space.rest.seq_len, 0)),
          .table = {.columns = {{"evaluated", "configurations evaluated"},
                                {"feasible", "of them feasible: they fit into memory"},
                                {"pruned", "pruned, not counted: nothing of their pipeline fits"},
                                {"seconds", "seconds", 1, 3},
                                {"per_second", "configurations per second"},
                                {"finished", "finished"}},
                    .rows = {{whole(s.counts.evaluated), whole(s.counts.feasible), whole(s.counts.pruned), s.seconds,
                              rate(s), s.is_finished()}}},
          .is_record = true};
}

}  // namespace

std::string search(const cost::SearchState& state, const cost::Space& space, const cost::Job& job, Format format) {
  const bool has_execution = space.offloads.size() > 1;
  const Section front{.key = "front",
                      .title = fmt::format("Not beaten in time, memory and {} at once",
                                           state.front.objective() == cost::Objective::energy ? "energy" : "cost"),
                      .table = layouts(state.front.pareto(), space, has_execution)};
  if (format == Format::csv) return csv(front.table);
  const Section best{.key = "best", .title = "Best first", .table = layouts(state.front.best(), space, has_execution)};
  return render({best, front, summary(state, space, job)}, format);
}

std::string search_progress(const cost::SearchState& s) {
  const auto done = std::count(s.done.begin(), s.done.end(), true);
  return fmt::format("{} % of the space, {} configurations, {} feasible, {}/s",
                     s.done.empty() ? 100 : 100 * done / std::ssize(s.done),
                     grouped(static_cast<double>(s.counts.evaluated), 0),
                     grouped(static_cast<double>(s.counts.feasible), 0), grouped(rate(s), 0));
}

}  // namespace traincost::report
