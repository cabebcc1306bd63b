#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kernels/registry.hpp>

namespace traincost::kernels {

/// A case whose providers all take one problem. A problem has shape(): its registry Shape. A provider's State is built
/// from a problem and has launch(stream) and deviation().
template <class State, class Problem>
Provider provider(std::string name, int min_compute_capability, const std::vector<Problem>& problems) {
  return {std::move(name), min_compute_capability, [problems](std::size_t index) {
            const auto state = std::make_shared<State>(problems.at(index));
            return Instance{[state](cudaStream_t stream) { state->launch(stream); },
                            [state] { return state->deviation(); }};
          }};
}

/// The same on Hopper's own instructions.
template <class State, class Problem>
Provider sm90_provider(std::string name, const std::vector<Problem>& problems) {
  auto found = provider<State>(std::move(name), 90, problems);
  found.code_path = "sm_90a";
  found.is_one_architecture = true;
  return found;
}

/// The same of a vendor's library, which may not be there.
template <class State, class Problem>
Provider library_provider(std::string name, int min_compute_capability, const std::vector<Problem>& problems,
                          const std::function<std::string()>& why_not) {
  auto found = provider<State>(std::move(name), min_compute_capability, problems);
  found.code_path = "library";
  found.why_not = why_not;
  return found;
}

/// One that this build lacks, so that a listing names it all the same.
inline Provider missing_provider(std::string name, const std::string& why) {
  return {.name = std::move(name),
          .prepare = [why](std::size_t) -> Instance { throw std::runtime_error(why); },
          .code_path = "library",
          .why_not = [why] { return why; }};
}

template <class Problem>
std::vector<Shape> shapes_of(const std::vector<Problem>& problems) {
  std::vector<Shape> shapes;
  shapes.reserve(problems.size());
  for (const auto& problem : problems) shapes.push_back(problem.shape());
  return shapes;
}

/// A case with our provider alone.
template <class State, class Problem>
Case case_of(const std::string& name, const std::vector<Problem>& problems, const Tolerance& tolerance = {}) {
  return {.name = name,
          .shapes = shapes_of(problems),
          .providers = {provider<State>("traincost", 80, problems)},
          .tolerance = tolerance};
}

}  // namespace traincost::kernels
