#include <bench/cuda/card.hpp>

#include <array>

#include <bench/program/backend.hpp>

namespace traincost::bench::cuda {
namespace {

constexpr std::size_t kFlushedCaches = 2;  // a partitioned cache keeps a line in both halves

std::string pci_bus_id() {
  std::array<char, 32> text{};
  TRAINCOST_CUDA_CHECK(cudaDeviceGetPCIBusId(text.data(), text.size(), 0));
  return text.data();
}

void require_device() {
  int count = 0;
  const auto status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) throw NoDevice(cudaGetErrorString(status));
  if (count == 0) throw NoDevice("none is visible");
}

}  // namespace

Card::Card() {
  require_device();
  TRAINCOST_CUDA_CHECK(cudaGetDeviceProperties(&properties_, 0));
  TRAINCOST_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  TRAINCOST_CUDA_CHECK(cudaEventCreate(&start_));
  TRAINCOST_CUDA_CHECK(cudaEventCreate(&stop_));
  flushed_ = kernels::DeviceBuffer<char>(kFlushedCaches * static_cast<std::size_t>(properties_.l2CacheSize));
  const auto sms = static_cast<std::size_t>(properties_.multiProcessorCount);
  before_ = kernels::DeviceBuffer<Stamp>(sms);
  after_ = kernels::DeviceBuffer<Stamp>(sms);
  void* flags = nullptr;
  TRAINCOST_CUDA_CHECK(cudaHostAlloc(&flags, 2 * sizeof(int), cudaHostAllocMapped));
  flags_ = static_cast<volatile int*>(flags);
  nvml_ = Nvml::open(pci_bus_id());
}

Card::~Card() {
  cudaFreeHost(const_cast<int*>(flags_));
  cudaEventDestroy(start_);
  cudaEventDestroy(stop_);
  cudaStreamDestroy(stream_);
}

void Card::flush_l2() { TRAINCOST_CUDA_CHECK(cudaMemsetAsync(flushed_.data(), 1, flushed_.bytes(), stream_)); }

void Card::begin() {
  flags_[0] = 0;
  flags_[1] = 0;
  launch_stamps(before_.data(), static_cast<int>(before_.size()), stream_);
}

void Card::block() { launch_blocker(flags_, flags_ + 1, stream_); }

void Card::record_start() { TRAINCOST_CUDA_CHECK(cudaEventRecord(start_, stream_)); }

void Card::release() { flags_[0] = 1; }

Sample Card::finish() {
  TRAINCOST_CUDA_CHECK(cudaEventRecord(stop_, stream_));
  launch_stamps(after_.data(), static_cast<int>(after_.size()), stream_);
  release();
  TRAINCOST_CUDA_CHECK(cudaStreamSynchronize(stream_));
  if (flags_[1] != 0)
    throw kernels::CudaError("the launch waits for the host, so it cannot be enqueued behind the blocking kernel");
  float milliseconds = 0;
  TRAINCOST_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start_, stop_));
  return {.seconds = {milliseconds / 1e3}, .sm_clock_hz = sm_clock_hz(before_.to_host(), after_.to_host())};
}

}  // namespace traincost::bench::cuda
