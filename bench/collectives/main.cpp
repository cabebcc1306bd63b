#include <cuda_runtime.h>
#include <fmt/format.h>
#include <mpi.h>

#include <CLI/CLI.hpp>

#include <bench/collectives/program.hpp>

namespace traincost::bench::collectives {
namespace {

enum Exit { kDone = 0, kBadInput = 2, kNoDevice = 3 };

/// This process's place among those of its host chooses its GPU.
Place place_of_this_process(int gpus) {
  Place place;
  MPI_Comm_rank(MPI_COMM_WORLD, &place.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &place.ranks);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place.rank, MPI_INFO_NULL, &host);
  int local = 0;
  MPI_Comm_rank(host, &local);
  MPI_Comm_free(&host);
  place.device = local % gpus;
  return place;
}

int run_program(const Options& options) {
  int gpus = 0;
  const auto status = cudaGetDeviceCount(&gpus);
  if (status != cudaSuccess || gpus == 0) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0)
      fmt::print(stderr, "traincost_collectives: no NVIDIA GPU: {}\n",
                 status != cudaSuccess ? cudaGetErrorString(status) : "none is visible");
    return kNoDevice;
  }
  try {
    run_all(options, place_of_this_process(gpus));
  } catch (const std::exception& error) {
    fmt::print(stderr, "traincost_collectives: {}\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, kBadInput);
  }
  return kDone;
}

}  // namespace
}  // namespace traincost::bench::collectives

int main(int argc, char** argv) {
  using namespace traincost::bench::collectives;
  Options options;
  CLI::App app{"Times NCCL's collectives and the expert exchange between the GPUs of an MPI job, one rank each."};
  app.add_option("--out", options.out, "results, written by the first rank")->required();
  app.add_option("--filter", options.filter, "a regular expression, searched in case/provider/format/shape/mode");
  app.add_option("--chip", options.chip, "the catalogue's name of the chip, if the driver's is not in it");
  app.add_option("--commit", options.commit, "recorded with the rows");
  app.add_option("--limit", options.limit_s, "seconds for the samples of a row")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  const int status = run_program(options);
  MPI_Finalize();
  return status;
}
