#include <traincost/cost/compiled_schedule.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace traincost::cost {
namespace {

using Compiled = CompiledSchedule;

constexpr auto kStart = Compiled::kStart, kNothing = Compiled::kNothing, kFirstTask = Compiled::kFirstTask;
constexpr std::uint32_t kPending = 0;

// Brings the programs of all stages into one order.
class Compiler {
 public:
  Compiler(const PipelineShape& shape, const std::vector<int>& kind_of_chunk, int flows)
      : shape_(shape), kind_of_chunk_(kind_of_chunk), virtual_stages_(shape.stages * shape.chunks) {
    const auto size = static_cast<std::size_t>(flows) * virtual_stages_ * shape.micro_batches;
    forward_.assign(size, kPending);
    backward_.assign(size, kPending);
  }

  Compiled::Run order(const Program& program) {
    const auto stages = static_cast<std::size_t>(shape_.stages);
    std::vector<std::size_t> next(stages, 0);
    Compiled::Run run{.last = std::vector<std::uint32_t>(stages, kStart)};
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t s = 0; s < stages; ++s)
        while (next[s] < program[s].size()) {
          const auto& task = program[s][next[s]];
          const auto needs = needs_of(static_cast<int>(s), task);
          if (!needs) break;
          const auto id = static_cast<std::uint32_t>(run.tasks.size()) + kFirstTask;
          run.tasks.push_back({run.last[s], needs->first, needs->second, duration(static_cast<int>(s), task)});
          finish(static_cast<int>(s), task, id);
          run.last[s] = id;
          ++next[s];
          moved = true;
        }
    }
    for (std::size_t s = 0; s < stages; ++s) run.is_stuck = run.is_stuck || next[s] < program[s].size();
    return run;
  }

 private:
  using Needs = std::pair<std::uint32_t, std::uint32_t>;

  [[nodiscard]] std::size_t index(int flow, int virtual_stage, int micro_batch) const {
    return (static_cast<std::size_t>(flow) * virtual_stages_ + virtual_stage) * shape_.micro_batches + micro_batch;
  }
  // Position along the flow: flow 1 enters at the last stage.
  [[nodiscard]] int position(int stage, int chunk, int flow) const {
    return chunk * shape_.stages + (flow == 0 ? stage : shape_.stages - 1 - stage);
  }
  [[nodiscard]] std::uint32_t duration(int stage, const Task& t) const {
    const int at = position(stage, t.chunk, t.flow);
    return static_cast<std::uint32_t>(kind_of_chunk_[at] * kWorks + static_cast<int>(t.work));
  }
  // The task whose result the forward or backward waits for; kPending while it has not run.
  [[nodiscard]] std::uint32_t forward_needs(int stage, int chunk, int flow, int micro_batch) const {
    const int at = position(stage, chunk, flow);
    return at == 0 ? kNothing : forward_[index(flow, at - 1, micro_batch)];
  }
  [[nodiscard]] std::uint32_t backward_needs(int stage, int chunk, int flow, int micro_batch) const {
    const int at = position(stage, chunk, flow);
    if (at < virtual_stages_ - 1) return backward_[index(flow, at + 1, micro_batch)];
    // Its own forward, on this stage: nothing is sent, and what is `before` covers it.
    return forward_[index(flow, at, micro_batch)] == kPending ? kPending : kNothing;
  }
  [[nodiscard]] std::optional<Needs> needs_of(int stage, const Task& t) const {
    Needs needs{kNothing, kNothing};
    if (t.work == Work::forward || t.work == Work::pair)
      needs.first = forward_needs(stage, t.chunk, t.flow, t.micro_batch);
    if (t.work == Work::backward || t.work == Work::input_grad)
      needs.first = backward_needs(stage, t.chunk, t.flow, t.micro_batch);
    if (t.work == Work::pair) needs.second = backward_needs(stage, t.chunk, 1 - t.flow, t.micro_batch_back);
    if (needs.first == kPending || needs.second == kPending) return std::nullopt;
    return needs;  // a weight gradient needs its input gradient, which came before it in the same program
  }
  void finish(int stage, const Task& t, std::uint32_t id) {
    const int at = position(stage, t.chunk, t.flow);
    if (t.work == Work::forward || t.work == Work::pair) forward_[index(t.flow, at, t.micro_batch)] = id;
    if (t.work == Work::backward || t.work == Work::input_grad) backward_[index(t.flow, at, t.micro_batch)] = id;
    if (t.work == Work::pair)
      backward_[index(1 - t.flow, position(stage, t.chunk, 1 - t.flow), t.micro_batch_back)] = id;
  }

  const PipelineShape& shape_;
  const std::vector<int>& kind_of_chunk_;
  int virtual_stages_;
  std::vector<std::uint32_t> forward_, backward_;
};

// How often each duration, for each stage.
using Counts = std::vector<std::vector<double>>;

void add_run(Compiled& out, Counts& counts, const PipelineShape& shape, const std::vector<int>& kind_of_chunk,
             double weight) {
  const int flows = shape.schedule == Schedule::dual_pipe ? 2 : 1;
  Compiled::Run run = Compiler(shape, kind_of_chunk, flows).order(program(shape));
  run.weight = weight;
  for (std::size_t s = 0; s < counts.size(); ++s)
    for (auto id = run.last[s]; id != kStart; id = run.tasks[id - kFirstTask].before)
      counts[s][run.tasks[id - kFirstTask].duration] += weight;
  out.runs.push_back(std::move(run));
}

// Beyond warm-up and drain a schedule repeats itself: long runs are continued from two short ones.
constexpr int kSteadyStages = 2;

void add_runs(Compiled& out, Counts& counts, PipelineShape shape, const std::vector<int>& kinds, double weight) {
  const int asked = shape.micro_batches;
  const int partial = asked % shape.stages;
  if (shape.chunks > 1 && partial > 0 && asked > shape.stages) {
    // The interleaved order wants whole groups of micro-batches: between two whole ones lies the time of a partial one.
    const double share = static_cast<double>(partial) / shape.stages;
    shape.micro_batches = asked - partial;
    add_runs(out, counts, shape, kinds, weight * (1 - share));
    shape.micro_batches += shape.stages;
    return add_runs(out, counts, shape, kinds, weight * share);
  }
  if (shape.schedule == Schedule::dual_pipe) {
    shape.micro_batches += asked % 2;
    if (shape.stages % 2 == 1 || shape.micro_batches < 2 * shape.stages) {
      shape.schedule = Schedule::zero_bubble;
      shape.micro_batches = asked;
    }
  }
  const int period = shape.schedule == Schedule::dual_pipe ? 2 * shape.stages : shape.stages;
  const int rest = (shape.micro_batches - kSteadyStages * shape.stages) % period;
  const int longer = kSteadyStages * shape.stages + rest + period;
  if (shape.stages == 1 || shape.micro_batches <= longer + period) return add_run(out, counts, shape, kinds, weight);
  const double factor = static_cast<double>(shape.micro_batches - longer) / period;
  shape.micro_batches = longer - period;
  add_run(out, counts, shape, kinds, weight * -factor);
  shape.micro_batches = longer;
  add_run(out, counts, shape, kinds, weight * (1 + factor));
}

}  // namespace

std::shared_ptr<const CompiledSchedule> compiled(const PipelineShape& shape, const std::vector<int>& kind_of_chunk) {
  constexpr std::size_t kMaxTasks = std::size_t{1} << 21;  // of 16 bytes
  thread_local std::map<std::vector<int>, std::shared_ptr<const CompiledSchedule>> kept;
  thread_local std::size_t tasks = 0;
  std::vector<int> key{static_cast<int>(shape.schedule), shape.stages, shape.chunks, shape.micro_batches};
  key.insert(key.end(), kind_of_chunk.begin(), kind_of_chunk.end());
  if (const auto found = kept.find(key); found != kept.end()) return found->second;
  if (tasks > kMaxTasks) {
    kept.clear();
    tasks = 0;
  }
  auto made = std::make_shared<const CompiledSchedule>(compile(shape, kind_of_chunk));
  for (const auto& run : made->runs) tasks += run.tasks.size();
  return kept.emplace(std::move(key), std::move(made)).first->second;
}

CompiledSchedule compile(const PipelineShape& shape, const std::vector<int>& kind_of_chunk) {
  CompiledSchedule out;
  out.kinds = 1 + *std::max_element(kind_of_chunk.begin(), kind_of_chunk.end());
  Counts counts(shape.stages, std::vector<double>(out.kinds * kWorks));
  add_runs(out, counts, shape, kind_of_chunk, 1);
  for (int s = 0; s < shape.stages; ++s) {
    if (std::find(counts.begin(), counts.begin() + s, counts[s]) != counts.begin() + s) continue;
    auto& load = out.loads.emplace_back(CompiledSchedule::Load{.stage = s});
    for (std::uint32_t duration = 0; duration < counts[s].size(); ++duration) {
      if (counts[s][duration] == 0) continue;
      load.counts.push_back({duration, counts[s][duration]});
      load.is_mirrored = load.is_mirrored || duration % kWorks == static_cast<std::uint32_t>(Work::pair);
    }
  }
  return out;
}

}  // namespace traincost::cost
