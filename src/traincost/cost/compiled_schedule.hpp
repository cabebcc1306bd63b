#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <traincost/cost/schedule_program.hpp>

namespace traincost::cost {

/// A schedule made ready to run with many sets of chunk times. Chunks of one kind take the same time; durations are
/// indexed kind x kWorks + work.
struct CompiledSchedule {
  /// Starts when the stage's task `before` and the tasks it needs have finished; the latter send their result.
  struct Task {
    std::uint32_t before, needs, needs_too, duration;
  };
  /// Two places before the first task: what a stage's first task follows, and what a task needs that needs none.
  static constexpr std::uint32_t kStart = 0, kNothing = 1, kFirstTask = 2;
  /// Tasks in an order in which each finds its predecessors finished.
  struct Run {
    double weight = 1;  // in the makespan: long steps are continued from two short ones
    std::vector<Task> tasks;
    std::vector<std::uint32_t> last;  // of each stage
    bool is_stuck = false;            // the programs wait for each other
  };
  struct Count {
    std::uint32_t duration;
    double times;
  };
  /// What a stage does in the whole step; stages that do the same are listed once, by the first.
  struct Load {
    int stage;
    bool is_mirrored = false;  // runs pairs of both directions
    std::vector<Count> counts;
  };
  std::vector<Run> runs;
  std::vector<Load> loads;
  std::size_t kinds = 0;
};

/// `kind_of_chunk[virtual stage]`, from 0. `shape.send` is not used.
CompiledSchedule compile(const PipelineShape& shape, const std::vector<int>& kind_of_chunk);
/// The same, kept by this thread for the next time: a fit prices the same pipelines with ever new times.
std::shared_ptr<const CompiledSchedule> compiled(const PipelineShape& shape, const std::vector<int>& kind_of_chunk);

/// Times of kLanes pipelines of one shape. `busiest` is an index into `loads`.
template <std::size_t kLanes>
struct Lanes {
  std::array<double, kLanes> makespan{}, busy{};
  std::array<int, kLanes> busiest{};
};

/// `durations` [kinds x kWorks, kLanes]; `send` [kLanes]; `scratch` is grown as needed. A lane's result does not depend
/// on the others, nor on their number.
template <std::size_t kLanes>
Lanes<kLanes> run(const CompiledSchedule& schedule, const std::vector<std::array<double, kLanes>>& durations,
                  const std::array<double, kLanes>& send, std::vector<std::array<double, kLanes>>& scratch);

inline constexpr std::size_t kWide = 8;
extern template Lanes<1> run(const CompiledSchedule&, const std::vector<std::array<double, 1>>&,
                             const std::array<double, 1>&, std::vector<std::array<double, 1>>&);
extern template Lanes<kWide> run(const CompiledSchedule&, const std::vector<std::array<double, kWide>>&,
                                 const std::array<double, kWide>&, std::vector<std::array<double, kWide>>&);

/// What the busiest stage of one pipeline does.
PipelineTimes pipeline_times(const CompiledSchedule& schedule, const std::vector<std::array<double, 1>>& durations,
                             units::Seconds send);

/// Durations of one kind of chunk, by Work.
std::array<double, kWorks> durations(const ChunkTimes& times);

}  // namespace traincost::cost
