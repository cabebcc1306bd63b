#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <bench/job.hpp>
#include <bench/journal.hpp>
#include <bench/sampling.hpp>

namespace traincost::bench {

struct Settings {
  Rule rule;
  std::optional<units::Seconds> budget;          // no new row is begun after so long
  std::function<units::Seconds()> now;           // by the wall
  std::function<bool()> is_interrupted;          // asked before each row
  std::function<void(const std::string&)> tell;  // a line of progress
};

struct Summary {
  std::size_t timed = 0, wrong = 0 /* answers, and rows that ended in an error */, skipped = 0, left = 0;
};

/// Times the jobs that the journal lacks, each as one iteration of a Google Benchmark with manual time.
Summary run(const std::vector<Job>& jobs, Journal& journal, const Settings& settings);

/// "4 min left": from the rows done so far; empty before the first.
std::string time_left(std::size_t done, std::size_t all, units::Seconds spent);

}  // namespace traincost::bench
