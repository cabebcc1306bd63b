#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <kernels/common/device_buffer.hpp>
#include <ptx/ptx.hpp>

namespace ptx {
inline void PrintTo(const Options& options, std::ostream* out) {
  *out << "schedule " << static_cast<int>(options.order) << ", seed " << options.seed;
}
}  // namespace ptx

/// Kernel tests run under every thread schedule of the PTX executor; on a card, once.
namespace traincost::kernels {

class Schedules : public testing::TestWithParam<ptx::Options> {
 protected:
  void SetUp() override {
    ptx::set_options(GetParam());
    ptx::reset_counters();
  }
};

inline std::string schedule_name(const testing::TestParamInfo<ptx::Options>& info) {
  static constexpr std::array kNames{"forward", "reverse", "random"};
  return kNames.at(static_cast<std::size_t>(info.param.order));
}

/// What finish() last saw: the executor forgets the sectors of memory that is freed.
inline ptx::Counters& counted() {
  static ptx::Counters counters;
  return counters;
}

inline void finish() {
  TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());
  counted() = ptx::counters();
}

template <class T>
void expect_written(const DeviceBuffer<T>& output) {
  EXPECT_EQ(ptx::unwritten(output.data(), output.bytes()), 0U) << "bytes that nothing wrote";
}

/// Distinct 32-byte sectors loaded and stored between reset_counters() and the last finish(), in bytes.
inline double sector_bytes() {
  const ptx::Counters& seen = counted();
  return 32.0 * static_cast<double>(seen.global_loads.distinct_sectors + seen.global_stores.distinct_sectors);
}

/// A pointer `elements` before `p`, so that a large index meets a small buffer: wrong 32-bit arithmetic misses it.
template <class T>
T* shifted_back(T* p, std::int64_t elements) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the difference of pointers into one array would be undefined
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(p) - static_cast<std::uintptr_t>(elements) * sizeof(T));
}

/// A row beyond 2^31 elements of any width from 2 on.
constexpr int kFarRow = 2'000'000'000;

}  // namespace traincost::kernels
