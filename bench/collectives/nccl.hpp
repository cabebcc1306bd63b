#pragma once

#include <memory>

#include <bench/collective.hpp>
#include <bench/probe.hpp>

/// NCCL's collectives, one GPU a rank; the library is opened when the program runs.
namespace traincost::bench::collectives {

/// Where this process stands: MPI's ranks, and the GPU that is its own on this host.
struct Place {
  int rank = 0, ranks = 1, device = 0;
};

/// All ranks must begin and end the same rows and samples, so they go by the clock of the first.
units::Seconds first_ranks_time();

class Communicator {
 public:
  struct Group;
  explicit Communicator(const Place& place);  // throws without a GPU or NCCL
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  /// The probe of one case on all ranks: each sample begins at a barrier, covers launches in bulk, and lasts as long as
  /// the slowest rank's. All ranks must ask for the same samples.
  std::unique_ptr<Probe> probe(const CollectiveCase& c);

 private:
  std::shared_ptr<Group> group_;
};

}  // namespace traincost::bench::collectives
