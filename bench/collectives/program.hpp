#pragma once

#include <string>

#include <bench/collectives/nccl.hpp>

namespace traincost::bench::collectives {

struct Options {
  std::string filter, chip, out, commit = "unknown";
  double limit_s = 1;
};

/// On every rank of MPI; the first writes the rows.
void run_all(const Options& options, const Place& place);

}  // namespace traincost::bench::collectives
