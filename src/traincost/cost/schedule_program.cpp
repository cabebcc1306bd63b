#include <traincost/cost/schedule_program.hpp>

#include <algorithm>
#include <utility>

namespace traincost::cost {
namespace {

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

}  // namespace

Program program(const PipelineShape& shape) {
  if (shape.schedule == Schedule::dual_pipe) return dual_pipe(shape);
  if (shape.schedule == Schedule::zero_bubble && shape.chunks == 1) return zero_bubble(shape);
  return one_f_one_b(shape);
}

}  // namespace traincost::cost
