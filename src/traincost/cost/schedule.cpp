#include <traincost/cost/schedule.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>

namespace traincost::cost {
namespace {

using units::Seconds;

enum class Work { forward, backward /* both gradients */, input_grad, weight_grad, pair /* forward with a backward */ };

// What one stage does next. `flow`: DualPipe runs micro-batches in both directions, 0 from the first stage, 1 from the
// last. A pair's backward is that of (flow 1 - flow, micro_batch_back).
struct Task {
  Work work = Work::forward;
  int chunk = 0, micro_batch = 0, flow = 0;
  int micro_batch_back = 0;
};

using Program = std::vector<std::vector<Task>>;  // tasks of each stage, in order

constexpr double kPending = -1;

// Runs fixed programs: each task starts when its stage is free and what it needs has arrived.
class Simulation {
 public:
  Simulation(const PipelineShape& shape, const std::vector<std::vector<ChunkTimes>>& times, int flows)
      : shape_(shape), times_(times), virtual_stages_(shape.stages * shape.chunks) {
    const auto size = static_cast<std::size_t>(flows) * virtual_stages_ * shape.micro_batches;
    forward_done_.assign(size, kPending);
    backward_done_.assign(size, kPending);
  }

  std::vector<PipelineTimes> run(const Program& program) {
    const auto stages = static_cast<std::size_t>(shape_.stages);
    std::vector<std::size_t> next(stages, 0);
    std::vector<double> free_at(stages, 0);
    std::vector<PipelineTimes> used(stages);
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t s = 0; s < stages; ++s)
        while (next[s] < program[s].size()) {
          const Task& task = program[s][next[s]];
          const auto ready = ready_at(static_cast<int>(s), task);
          if (!ready) break;
          free_at[s] = finish(static_cast<int>(s), task, std::max(free_at[s], *ready), used[s]);
          ++next[s];
          moved = true;
        }
    }
    double makespan = *std::max_element(free_at.begin(), free_at.end());
    for (std::size_t s = 0; s < stages; ++s)
      if (next[s] < program[s].size()) makespan = std::numeric_limits<double>::infinity();  // a program that deadlocks
    for (std::size_t s = 0; s < stages; ++s) {
      used[s].stage = static_cast<int>(s);
      used[s].makespan = {makespan};
    }
    return used;
  }

 private:
  std::size_t index(int flow, int virtual_stage, int micro_batch) const {
    return (static_cast<std::size_t>(flow) * virtual_stages_ + virtual_stage) * shape_.micro_batches + micro_batch;
  }
  // Position along the flow: flow 1 enters at the last stage.
  int position(int stage, int chunk, int flow) const {
    return chunk * shape_.stages + (flow == 0 ? stage : shape_.stages - 1 - stage);
  }
  std::optional<double> forward_ready(int stage, int chunk, int flow, int micro_batch) const {
    const int at = position(stage, chunk, flow);
    if (at == 0) return 0;
    const double done = forward_done_[index(flow, at - 1, micro_batch)];
    return done == kPending ? std::nullopt : std::optional(done + shape_.send.value);
  }
  std::optional<double> backward_ready(int stage, int chunk, int flow, int micro_batch) const {
    const int at = position(stage, chunk, flow);
    if (at == virtual_stages_ - 1) {
      const double done = forward_done_[index(flow, at, micro_batch)];
      return done == kPending ? std::nullopt : std::optional(done);
    }
    const double done = backward_done_[index(flow, at + 1, micro_batch)];
    return done == kPending ? std::nullopt : std::optional(done + shape_.send.value);
  }
  std::optional<double> ready_at(int stage, const Task& t) const {
    switch (t.work) {
      case Work::forward:
        return forward_ready(stage, t.chunk, t.flow, t.micro_batch);
      case Work::backward:
      case Work::input_grad:
        return backward_ready(stage, t.chunk, t.flow, t.micro_batch);
      case Work::weight_grad:
        return 0;  // its input gradient came before it in the same program
      case Work::pair: {
        const auto f = forward_ready(stage, t.chunk, t.flow, t.micro_batch);
        const auto b = backward_ready(stage, t.chunk, 1 - t.flow, t.micro_batch_back);
        return f && b ? std::optional(std::max(*f, *b)) : std::nullopt;
      }
    }
    return std::nullopt;
  }

  double finish(int stage, const Task& t, double start, PipelineTimes& used) {
    const int at = position(stage, t.chunk, t.flow);
    const ChunkTimes& c = times_[at % shape_.stages][at / shape_.stages];
    double end = start;
    switch (t.work) {
      case Work::forward:
        end += c.forward.value;
        used.forward += c.forward;
        forward_done_[index(t.flow, at, t.micro_batch)] = end;
        break;
      case Work::backward:
        end += (c.input_grad + c.weight_grad).value;
        used.input_grad += c.input_grad;
        used.weight_grad += c.weight_grad;
        backward_done_[index(t.flow, at, t.micro_batch)] = end;
        break;
      case Work::input_grad:
        end += c.input_grad.value;
        used.input_grad += c.input_grad;
        backward_done_[index(t.flow, at, t.micro_batch)] = end;
        break;
      case Work::weight_grad:
        end += c.weight_grad.value;
        used.weight_grad += c.weight_grad;
        break;
      case Work::pair:
        end += c.forward_and_backward.value;
        used.forward_and_backward += c.forward_and_backward;
        forward_done_[index(t.flow, at, t.micro_batch)] = end;
        backward_done_[index(1 - t.flow, position(stage, t.chunk, 1 - t.flow), t.micro_batch_back)] = end;
        break;
    }
    return end;
  }

  const PipelineShape& shape_;
  const std::vector<std::vector<ChunkTimes>>& times_;
  int virtual_stages_;
  std::vector<double> forward_done_, backward_done_;
};

// Micro-batches go through the chunks in groups of one per stage.
std::vector<std::pair<int, int>> chunk_order(const PipelineShape& shape, bool is_backward) {
  std::vector<std::pair<int, int>> order;
  for (int first = 0; first < shape.micro_batches; first += shape.stages)
    for (int c = 0; c < shape.chunks; ++c)
      for (int m = first; m < std::min(first + shape.stages, shape.micro_batches); ++m)
        order.emplace_back(is_backward ? shape.chunks - 1 - c : c, m);
  return order;
}

Program one_f_one_b(const PipelineShape& shape) {
  Program program(shape.stages);
  const auto forwards = chunk_order(shape, false);
  const auto backwards = chunk_order(shape, true);
  const auto total = static_cast<int>(forwards.size());
  for (int s = 0; s < shape.stages; ++s) {
    const int behind = shape.stages - 1 - s;
    int warm_up = shape.chunks == 1 ? behind : 2 * behind + (shape.chunks - 1) * shape.stages;
    if (shape.chunks > 1 && shape.micro_batches <= shape.stages) warm_up = total;
    warm_up = std::min(warm_up, total);
    auto& tasks = program[s];
    tasks.reserve(2 * forwards.size());
    const auto forward = [&](int i) { tasks.push_back({Work::forward, forwards[i].first, forwards[i].second}); };
    const auto backward = [&](int i) { tasks.push_back({Work::backward, backwards[i].first, backwards[i].second}); };
    for (int i = 0; i < warm_up; ++i) forward(i);
    for (int i = warm_up; i < total; ++i) {
      forward(i);
      backward(i - warm_up);
    }
    for (int i = total - warm_up; i < total; ++i) backward(i);
  }
  return program;
}

// 1F1B in which weight gradients wait until the stage would idle: stage s keeps up to s of them back, and drains them
// after its last input gradient (the ZB-H1 schedule, which needs no more memory than 1F1B).
Program zero_bubble(const PipelineShape& shape) {
  Program program(shape.stages);
  const int m = shape.micro_batches;
  for (int s = 0; s < shape.stages; ++s) {
    auto& tasks = program[s];
    const int warm_up = std::min(shape.stages - 1 - s, m);
    int weights_done = 0;
    const auto input_grad = [&](int i) {
      tasks.push_back({Work::input_grad, 0, i});
      if (i >= s && i < m - (shape.stages - 1 - s)) tasks.push_back({Work::weight_grad, 0, weights_done++});
    };
    for (int i = 0; i < warm_up; ++i) tasks.push_back({Work::forward, 0, i});
    for (int i = warm_up; i < m; ++i) {
      tasks.push_back({Work::forward, 0, i});
      input_grad(i - warm_up);
    }
    for (int i = m - warm_up; i < m; ++i) {
      input_grad(i);
      if (weights_done <= i) tasks.push_back({Work::weight_grad, 0, weights_done++});
    }
    while (weights_done < m) tasks.push_back({Work::weight_grad, 0, weights_done++});
  }
  return program;
}

// Both directions at once: a stage holds the layers of its own position in either flow. Eight phases per stage.
Program dual_pipe(const PipelineShape& shape) {
  Program program(shape.stages);
  const int half = shape.stages / 2;
  const int per_flow = shape.micro_batches / 2;
  for (int s = 0; s < shape.stages; ++s) {
    auto& tasks = program[s];
    const int depth = std::min(s, shape.stages - 1 - s);  // distance from the nearer end
    const int near = s < half ? 0 : 1;                    // the flow that enters at the nearer end
    int forwards[2] = {0, 0}, backwards[2] = {0, 0}, weights = 0;
    const auto flow = [&](int which) { return which == 0 ? near : 1 - near; };
    const auto f = [&](int w) { tasks.push_back({Work::forward, 0, forwards[w]++, flow(w)}); };
    const auto b = [&](int w) { tasks.push_back({Work::backward, 0, backwards[w]++, flow(w)}); };
    const auto b_input = [&](int w) {
      tasks.push_back({Work::input_grad, 0, backwards[w]++, flow(w)});
      ++weights;
    };
    const auto w_grad = [&] {
      if (weights > 0) tasks.push_back({Work::weight_grad, 0, --weights, 0});
    };
    const auto pair = [&](int w) { tasks.push_back({Work::pair, 0, forwards[w]++, flow(w), backwards[1 - w]++}); };
    for (int i = 0; i < 2 * (half - depth - 1); ++i) f(0);
    for (int i = 0; i < depth + 1; ++i) f(0), f(1);
    for (int i = 0; i < half - depth - 1; ++i) b_input(1), w_grad(), f(1);
    for (int i = 0; i < per_flow - shape.stages + depth + 1; ++i) pair(0), pair(1);
    for (int i = 0; i < half - depth - 1; ++i) b(1), pair(1);
    for (int i = 0; i < depth + 1; ++i) {
      const bool is_late = i >= (depth + 1) / 2;
      is_late ? b_input(1) : b(1);
      is_late ? b_input(0) : b(0);
    }
    for (int i = 0; i < half - depth - 1; ++i) w_grad(), b_input(0);
    while (weights > 0) w_grad();
  }
  return program;
}

PipelineTimes simulate_exactly(const PipelineShape& shape, const std::vector<std::vector<ChunkTimes>>& times) {
  const bool is_dual = shape.schedule == Schedule::dual_pipe;
  Program program;
  if (is_dual)
    program = dual_pipe(shape);
  else if (shape.schedule == Schedule::zero_bubble && shape.chunks == 1)
    program = zero_bubble(shape);
  else
    program = one_f_one_b(shape);
  auto used = Simulation(shape, times, is_dual ? 2 : 1).run(program);
  const auto busy = [](const PipelineTimes& t) {
    return t.forward + t.input_grad + t.weight_grad + t.forward_and_backward;
  };
  auto& busiest = *std::max_element(used.begin(), used.end(), [&](auto& a, auto& b) { return busy(a) < busy(b); });
  busiest.bubble = busiest.makespan - busy(busiest);
  return busiest;
}

// Beyond warm-up and drain a schedule repeats itself: long runs are continued from two short ones.
constexpr int kSteadyStages = 2;

PipelineTimes extrapolate(const PipelineTimes& a, const PipelineTimes& b, double factor) {
  const auto line = [&](Seconds PipelineTimes::*m) { return b.*m + (b.*m - a.*m) * factor; };
  return {.stage = b.stage,
          .makespan = line(&PipelineTimes::makespan),
          .bubble = line(&PipelineTimes::bubble),
          .forward = line(&PipelineTimes::forward),
          .input_grad = line(&PipelineTimes::input_grad),
          .weight_grad = line(&PipelineTimes::weight_grad),
          .forward_and_backward = line(&PipelineTimes::forward_and_backward)};
}

}  // namespace

PipelineTimes simulate(const PipelineShape& asked, const std::vector<std::vector<ChunkTimes>>& times) {
  PipelineShape shape = asked;
  const int partial = shape.micro_batches % shape.stages;
  if (shape.chunks > 1 && partial > 0 && shape.micro_batches > shape.stages) {
    // The interleaved order wants whole groups of micro-batches: between two whole ones lies the time of a partial one.
    shape.micro_batches -= partial;
    const auto fewer = simulate(shape, times);
    shape.micro_batches += shape.stages;
    return extrapolate(fewer, simulate(shape, times), static_cast<double>(partial) / shape.stages - 1);
  }
  if (shape.schedule == Schedule::dual_pipe) {
    shape.micro_batches += shape.micro_batches % 2;
    if (shape.stages % 2 == 1 || shape.micro_batches < 2 * shape.stages) {
      shape.schedule = Schedule::zero_bubble;
      shape.micro_batches = asked.micro_batches;
    }
  }
  const int period = shape.schedule == Schedule::dual_pipe ? 2 * shape.stages : shape.stages;
  const int rest = (shape.micro_batches - kSteadyStages * shape.stages) % period;
  const int longer = kSteadyStages * shape.stages + rest + period;
  if (shape.stages == 1 || shape.micro_batches <= longer + period) return simulate_exactly(shape, times);
  const double factor = static_cast<double>(shape.micro_batches - longer) / period;
  shape.micro_batches = longer - period;
  const auto a = simulate_exactly(shape, times);
  shape.micro_batches = longer;
  const auto b = simulate_exactly(shape, times);
  return extrapolate(a, b, factor);
}

}  // namespace traincost::cost
