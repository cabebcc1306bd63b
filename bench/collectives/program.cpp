#include <bench/collectives/program.hpp>

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <filesystem>

#include <traincost/units/error.hpp>

#include <bench/run.hpp>
#include <kernels/common/cuda_check.hpp>

namespace traincost::bench::collectives {
namespace {

const catalog::Chip& chip_of(const Options& options, int device) {
  cudaDeviceProp properties{};
  TRAINCOST_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  const std::string name = options.chip.empty() ? properties.name : options.chip;
  const auto* chip = catalog::find_chip(catalog::chips(), name);
  if (chip == nullptr) throw InputError(fmt::format("--chip: '{}', expected a chip of the catalogue", name));
  return *chip;
}

int gpus_of_host() {
  int gpus = 0;
  TRAINCOST_CUDA_CHECK(cudaGetDeviceCount(&gpus));
  return gpus;
}

std::vector<Job> jobs(const catalog::Chip& chip, Communicator& communicator, int gpus) {
  std::vector<Job> out;
  for (const auto& c : collective_cases(gpus)) {
    out.push_back(collective_job(c, chip));
    out.back().prepare = [c, &communicator] { return communicator.probe(c); };
  }
  return out;
}

/// What the first rank has finished in an earlier run is left out on all.
std::vector<Job> unfinished(const std::vector<Job>& all, const Journal& journal) {
  std::vector<Job> out;
  for (const auto& job : all) {
    int is_done = journal.finished().contains(key(job)) ? 1 : 0;
    MPI_Bcast(&is_done, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (is_done == 0) out.push_back(job);
  }
  return out;
}

}  // namespace

void run_all(const Options& options, const Place& place) {
  const auto& chip = chip_of(options, place.device);
  Communicator communicator(place);
  const bool is_first = place.rank == 0;
  // The others' rows are the same: they go to a file that is thrown away.
  const auto file = is_first ? std::filesystem::path(options.out)
                             : std::filesystem::temp_directory_path() /
                                   fmt::format("traincost_collectives.{}.{}", place.rank, ::getpid());
  Journal journal(file.string() + ".partial",
                  {{"chip", chip.id},
                   {"commit", options.commit},
                   {"gpus", fmt::format("{}", place.ranks)},
                   {"gpus_per_host", fmt::format("{}", gpus_of_host())}},
                  {"chip", "commit", "gpus"});
  const auto pending = unfinished(choose(jobs(chip, communicator, place.ranks), {.filter = options.filter}), journal);
  run(pending, journal,
      {.rule = {.time_limit = {options.limit_s}},
       .budget = {},
       .now = first_ranks_time,
       .is_interrupted = [] { return false; },
       .tell =
           [is_first](const std::string& line) {
             if (is_first) fmt::print(stderr, "{}\n", line);
           }});
  if (is_first) journal.write_results(file.string());
  std::filesystem::remove(file.string() + ".partial");
}

}  // namespace traincost::bench::collectives
