#pragma once

#include <memory>
#include <optional>

#include <bench/cuda/device_kernels.hpp>
#include <bench/cuda/nvml.hpp>
#include <kernels/common/device_buffer.hpp>

namespace traincost::bench::cuda {

/// What every sample on the card needs, allocated once.
class Card {
 public:
  Card();
  ~Card();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  [[nodiscard]] cudaStream_t stream() const { return stream_; }
  [[nodiscard]] const cudaDeviceProp& properties() const { return properties_; }
  [[nodiscard]] const Nvml* nvml() const { return nvml_.get(); }
  [[nodiscard]] double l2_bytes() const { return static_cast<double>(properties_.l2CacheSize); }

  /// Writes twice the L2 cache, so that nothing of the last launch is left there.
  void flush_l2();

  /// The interval on the card between two events around what `enqueue` enqueues, all of it behind the blocking kernel;
  /// with the clock that the SMs had meanwhile. `before` is enqueued ahead of the interval.
  template <class Before, class Enqueue>
  Sample time(Before before, Enqueue enqueue) {
    begin();
    before();
    block();
    record_start();
    enqueue();
    return finish();
  }

 private:
  void begin();
  void block();
  void record_start();
  Sample finish();
  void release();

  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
  kernels::DeviceBuffer<char> flushed_;
  kernels::DeviceBuffer<Stamp> before_, after_;
  volatile int* flags_ = nullptr;  // mapped: [0] go on, [1] the blocker has given up
  std::unique_ptr<Nvml> nvml_;
};

}  // namespace traincost::bench::cuda
