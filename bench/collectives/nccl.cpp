#include <bench/collectives/nccl.hpp>

#include <cuda_runtime.h>
#include <mpi.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <thread>
#include <vector>

#include <bench/wall_time.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/vendor/library.hpp>

namespace traincost::bench::collectives {
namespace {
using kernels::CudaError;
using kernels::DeviceBuffer;

struct Nccl {
  kernels::vendor::Library file{"libnccl.so.2"};
  decltype(ncclGetUniqueId)* unique_id;
  decltype(ncclCommInitRank)* init;
  decltype(ncclCommDestroy)* destroy;
  decltype(ncclAllReduce)* all_reduce;
  decltype(ncclAllGather)* all_gather;
  decltype(ncclReduceScatter)* reduce_scatter;
  decltype(ncclSend)* send;
  decltype(ncclRecv)* receive;
  decltype(ncclGroupStart)* group_start;
  decltype(ncclGroupEnd)* group_end;

  Nccl() {
    if (!file.is_there()) throw CudaError(file.why_not());
    file.find(unique_id, "ncclGetUniqueId");
    file.find(init, "ncclCommInitRank");
    file.find(destroy, "ncclCommDestroy");
    file.find(all_reduce, "ncclAllReduce");
    file.find(all_gather, "ncclAllGather");
    file.find(reduce_scatter, "ncclReduceScatter");
    file.find(send, "ncclSend");
    file.find(receive, "ncclRecv");
    file.find(group_start, "ncclGroupStart");
    file.find(group_end, "ncclGroupEnd");
  }
};

const Nccl& nccl() {
  static const Nccl kFunctions;
  return kFunctions;
}

void check(ncclResult_t result) {
  if (result != ncclSuccess) throw CudaError("NCCL: ncclResult_t " + std::to_string(static_cast<int>(result)));
}

constexpr double kLeastInterval = 1e-3;  // seconds of launches in bulk
constexpr double kMostLaunches = 1000;

}  // namespace

struct Communicator::Group {
  explicit Group(const Place& at) : place(at) {
    TRAINCOST_CUDA_CHECK(cudaSetDevice(place.device));
    ncclUniqueId id{};
    if (place.rank == 0) check(nccl().unique_id(&id));
    MPI_Bcast(&id, sizeof(id), MPI_BYTE, 0, MPI_COMM_WORLD);
    check(nccl().init(&communicator, place.ranks, id, place.rank));
    TRAINCOST_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    TRAINCOST_CUDA_CHECK(cudaEventCreate(&start));
    TRAINCOST_CUDA_CHECK(cudaEventCreate(&stop));
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    cudaEventDestroy(start);
    cudaEventDestroy(stop);
    cudaStreamDestroy(stream);
    nccl().destroy(communicator);
  }

  /// Counts are of bytes (ncclUint8) but for sums, which add fp32.
  void all_to_all(const char* from, char* to, const std::vector<std::size_t>& bytes) const {
    check(nccl().group_start());
    std::size_t at = 0;
    for (int peer = 0; peer < place.ranks; ++peer) {
      check(nccl().send(from + at, bytes[peer], ncclUint8, peer, communicator, stream));
      check(nccl().receive(to + at, bytes[peer], ncclUint8, peer, communicator, stream));
      at += bytes[peer];
    }
    check(nccl().group_end());
  }

  Place place;
  ncclComm_t communicator = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t start = nullptr, stop = nullptr;
};

namespace {

/// Rank r's float i is r + i % 97: sums are exact, and every piece tells where it came from.
std::vector<float> pattern(int rank, std::size_t count, std::size_t first = 0) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(rank + static_cast<int>((first + i) % 97));
  return out;
}

constexpr std::size_t kCompared = 4096;  // floats at the beginning of each piece

class CollectiveProbe : public Probe {
 public:
  CollectiveProbe(std::shared_ptr<Communicator::Group> group, const CollectiveCase& c)
      : group_(std::move(group)),
        case_(c),
        floats_(static_cast<std::size_t>(c.buffer_bytes) / 4 / ranks() * ranks()),
        in_(pattern(group_->place.rank, floats_)),
        out_(floats_) {}

  std::string mismatch() override {
    out_.fill_bytes(0xff);
    launch();
    TRAINCOST_CUDA_CHECK(cudaStreamSynchronize(group_->stream));
    int is_right = is_answer_right() ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, &is_right, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return is_right != 0 ? "" : "wrong answer on some rank";
  }

  Sample sample() override {
    if (launches_ == 0)
      launches_ = static_cast<int>(std::clamp(std::ceil(kLeastInterval / take(1)), 1.0, kMostLaunches));
    return {.seconds = {take(launches_)}, .sm_clock_hz = {}};
  }

  Health health() override { return {}; }
  units::Seconds now() override { return first_ranks_time(); }
  void rest(units::Seconds seconds) override {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds.value));
  }

 private:
  [[nodiscard]] std::size_t ranks() const { return static_cast<std::size_t>(group_->place.ranks); }
  [[nodiscard]] std::size_t share() const { return floats_ / ranks(); }
  [[nodiscard]] work::CollectiveKind kind() const {
    const auto* c = std::get_if<work::Collective>(&case_.op);
    return c != nullptr ? c->kind : work::CollectiveKind::all_to_all;  // balanced experts: equal parts for all
  }

  void launch() {
    const auto& g = *group_;
    switch (kind()) {
      case work::CollectiveKind::all_reduce:
        return check(nccl().all_reduce(in_.data(), out_.data(), floats_, ncclFloat, ncclSum, g.communicator, g.stream));
      case work::CollectiveKind::all_gather:
        return check(nccl().all_gather(in_.data(), out_.data(), share(), ncclFloat, g.communicator, g.stream));
      case work::CollectiveKind::reduce_scatter:
        return check(
            nccl().reduce_scatter(in_.data(), out_.data(), share(), ncclFloat, ncclSum, g.communicator, g.stream));
      default:
        return g.all_to_all(reinterpret_cast<const char*>(in_.data()), reinterpret_cast<char*>(out_.data()),
                            std::vector<std::size_t>(ranks(), 4 * share()));
    }
  }

  /// The slowest rank's time of one launch, the same on every rank.
  double take(int launches) {
    MPI_Barrier(MPI_COMM_WORLD);
    TRAINCOST_CUDA_CHECK(cudaEventRecord(group_->start, group_->stream));
    for (int i = 0; i < launches; ++i) launch();
    TRAINCOST_CUDA_CHECK(cudaEventRecord(group_->stop, group_->stream));
    TRAINCOST_CUDA_CHECK(cudaEventSynchronize(group_->stop));
    float milliseconds = 0;
    TRAINCOST_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, group_->start, group_->stop));
    MPI_Allreduce(MPI_IN_PLACE, &milliseconds, 1, MPI_FLOAT, MPI_MAX, MPI_COMM_WORLD);
    return milliseconds / 1e3 / launches;
  }

  [[nodiscard]] std::vector<float> sum_of_patterns(std::size_t first, std::size_t count) const {
    std::vector<float> sum(count);
    for (int rank = 0; rank < group_->place.ranks; ++rank) {
      const auto one = pattern(rank, count, first);
      std::ranges::transform(sum, one, sum.begin(), std::plus{});
    }
    return sum;
  }

  [[nodiscard]] bool is_answer_right() const {
    const auto all = out_.to_host();
    const std::size_t count = std::min(kCompared, share());
    const std::size_t mine = static_cast<std::size_t>(group_->place.rank) * share();
    const auto holds = [&](std::size_t at, const std::vector<float>& want) {
      return std::equal(want.begin(), want.end(), all.begin() + static_cast<std::ptrdiff_t>(at));
    };
    if (kind() == work::CollectiveKind::reduce_scatter) return holds(0, sum_of_patterns(mine, count));
    bool is_right = true;
    for (std::size_t piece = 0; piece < ranks(); ++piece) {
      const std::size_t at = piece * share();
      const int from = static_cast<int>(piece);
      is_right &= kind() == work::CollectiveKind::all_reduce   ? holds(at, sum_of_patterns(at, count))
                  : kind() == work::CollectiveKind::all_gather ? holds(at, pattern(from, count))
                                                               : holds(at, pattern(from, count, mine));
    }
    return is_right;
  }

  std::shared_ptr<Communicator::Group> group_;
  CollectiveCase case_;
  std::size_t floats_;
  DeviceBuffer<float> in_, out_;
  int launches_ = 0;
};

}  // namespace

units::Seconds first_ranks_time() {
  double seconds = wall_time().value;
  MPI_Bcast(&seconds, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  return {seconds};
}

Communicator::Communicator(const Place& place) : group_(std::make_shared<Group>(place)) {}
Communicator::~Communicator() = default;

std::unique_ptr<Probe> Communicator::probe(const CollectiveCase& c) {
  return std::make_unique<CollectiveProbe>(group_, c);
}

}  // namespace traincost::bench::collectives
