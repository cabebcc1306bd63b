#include <bench/job.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <set>
#include <tuple>

#include <traincost/units/error.hpp>

namespace traincost::bench {
namespace {

// Of each case and format the shapes with the least, the middle and the greatest floor.
std::set<std::tuple<std::string, work::Dtype, std::string>> quick_shapes(const std::vector<Job>& jobs) {
  std::map<std::pair<std::string, work::Dtype>, std::vector<const Job*>> cases;
  for (const auto& job : jobs) cases[{job.case_name, job.dtype}].push_back(&job);
  std::set<std::tuple<std::string, work::Dtype, std::string>> chosen;
  for (auto& [name, all] : cases) {
    std::ranges::stable_sort(all, {}, [](const Job* job) { return job->floor; });
    for (const std::size_t at : {std::size_t{0}, all.size() / 2, all.size() - 1})
      chosen.insert({name.first, name.second, all[at]->shape});
  }
  return chosen;
}

std::regex expression(const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error&) {
    throw InputError(fmt::format("--filter: '{}', expected a regular expression", text));
  }
}

}  // namespace

std::string_view to_string(measure::Mode mode) {
  constexpr std::string_view kNames[] = {"cold", "hot", "graph", "unstated"};
  return kNames[static_cast<std::size_t>(mode)];
}

std::string key(const Job& job) {
  auto text = fmt::format("{}/{}/{}/{}/{}", job.case_name, job.provider, work::to_string(job.dtype), job.shape,
                          to_string(job.mode));
  std::ranges::replace(text, ' ', '_');
  return text;
}

std::vector<Job> choose(const std::vector<Job>& jobs, const Choice& choice) {
  std::vector<Job> out;
  const auto matches = expression(choice.filter);
  for (const auto& job : jobs)
    if (choice.filter.empty() || std::regex_search(key(job), matches)) out.push_back(job);
  if (!choice.is_quick) return out;
  const auto shapes = quick_shapes(out);
  std::erase_if(out, [&](const Job& job) { return !shapes.contains({job.case_name, job.dtype, job.shape}); });
  return out;
}

std::string listing(const std::vector<Job>& jobs, const std::string& chip) {
  std::string text = fmt::format("{:>12}  {}\n", "floor, us", "case/provider/format/shape/mode on " + chip);
  for (const auto& job : jobs)
    text += fmt::format("{:>12.2f}  {}{}\n", 1e6 * job.floor.value, key(job),
                        job.skip.empty() ? "" : "  skipped: " + job.skip);
  return text + fmt::format("{} rows\n", jobs.size());
}

}  // namespace traincost::bench
