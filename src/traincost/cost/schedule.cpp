#include <traincost/cost/schedule.hpp>

#include <algorithm>
#include <limits>
#include <numeric>

#include <traincost/cost/compiled_schedule.hpp>

namespace traincost::cost {

std::array<double, kWorks> durations(const ChunkTimes& t) {
  return {t.forward.value, (t.input_grad + t.weight_grad).value, t.input_grad.value, t.weight_grad.value,
          t.forward_and_backward.value};
}

template <std::size_t kLanes>
Lanes<kLanes> run(const CompiledSchedule& schedule, const std::vector<std::array<double, kLanes>>& durations,
                  const std::array<double, kLanes>& send, std::vector<std::array<double, kLanes>>& scratch) {
  Lanes<kLanes> out;
  for (const auto& run : schedule.runs) {
    if (scratch.size() < run.tasks.size() + CompiledSchedule::kFirstTask)
      scratch.resize(run.tasks.size() + CompiledSchedule::kFirstTask);
    scratch[CompiledSchedule::kStart].fill(0);
    scratch[CompiledSchedule::kNothing].fill(-std::numeric_limits<double>::infinity());
    auto* finish = scratch.data() + CompiledSchedule::kFirstTask;
    for (const auto& task : run.tasks) {
      const auto& before = scratch[task.before];
      const auto& needs = scratch[task.needs];
      const auto& needs_too = scratch[task.needs_too];
      const auto& duration = durations[task.duration];
      for (std::size_t i = 0; i < kLanes; ++i) {
        const double sent = std::max(needs[i], needs_too[i]) + send[i];
        (*finish)[i] = std::max(before[i], sent) + duration[i];
      }
      ++finish;
    }
    for (std::size_t i = 0; i < kLanes; ++i) {
      double end = run.is_stuck ? std::numeric_limits<double>::infinity() : 0;
      for (const auto last : run.last) end = std::max(end, scratch[last][i]);
      out.makespan[i] += run.weight * end;
    }
  }
  for (int load = 0; load < static_cast<int>(schedule.loads.size()); ++load)
    for (std::size_t i = 0; i < kLanes; ++i) {
      double busy = 0;
      for (const auto& count : schedule.loads[load].counts) busy += durations[count.duration][i] * count.times;
      if (busy > out.busy[i]) {
        out.busy[i] = busy;
        out.busiest[i] = load;
      }
    }
  return out;
}

template Lanes<1> run(const CompiledSchedule&, const std::vector<std::array<double, 1>>&, const std::array<double, 1>&,
                      std::vector<std::array<double, 1>>&);
template Lanes<kWide> run(const CompiledSchedule&, const std::vector<std::array<double, kWide>>&,
                          const std::array<double, kWide>&, std::vector<std::array<double, kWide>>&);

PipelineTimes pipeline_times(const CompiledSchedule& schedule, const std::vector<std::array<double, 1>>& durations,
                             units::Seconds send) {
  std::vector<std::array<double, 1>> scratch;
  const auto lane = run<1>(schedule, durations, {send.value}, scratch);
  const auto& load = schedule.loads[lane.busiest[0]];
  PipelineTimes out{.stage = load.stage, .makespan = {lane.makespan[0]}, .bubble = {lane.makespan[0] - lane.busy[0]}};
  for (const auto& count : load.counts) {
    const std::uint32_t kind = count.duration / kWorks * kWorks;
    const auto spend = [&](units::Seconds& part, Work work) {
      part.value += count.times * durations[kind + static_cast<std::uint32_t>(work)][0];
    };
    switch (static_cast<Work>(count.duration % kWorks)) {
      case Work::forward:
        spend(out.forward, Work::forward);
        break;
      case Work::backward:
        spend(out.input_grad, Work::input_grad);
        spend(out.weight_grad, Work::weight_grad);
        break;
      case Work::input_grad:
        spend(out.input_grad, Work::input_grad);
        break;
      case Work::weight_grad:
        spend(out.weight_grad, Work::weight_grad);
        break;
      case Work::pair:
        spend(out.forward_and_backward, Work::pair);
        break;
    }
  }
  return out;
}

PipelineTimes simulate(const PipelineShape& shape, const std::vector<std::vector<ChunkTimes>>& times) {
  std::vector<int> kinds(static_cast<std::size_t>(shape.stages) * shape.chunks);
  std::iota(kinds.begin(), kinds.end(), 0);
  std::vector<std::array<double, 1>> all;
  for (int chunk = 0; chunk < shape.chunks; ++chunk)
    for (int stage = 0; stage < shape.stages; ++stage)
      for (const double duration : durations(times[stage][chunk])) all.push_back({duration});
  return pipeline_times(compile(shape, kinds), all, shape.send);
}

}  // namespace traincost::cost
