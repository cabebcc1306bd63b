#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What a kernel test may ask of the PTX executor. The same calls link on a card, where they do nothing (`executing()`
// tells).
namespace ptx {

enum class Order { kForward, kReverse, kRandom };

struct Checks {
  bool uninitialised = true;      // a read of global or shared memory that nothing wrote
  bool races = true;              // shared memory, by happens-before
  bool exited_at_barrier = true;  // a barrier that an exited thread misses is an error
};

struct Options {
  Order order = Order::kForward;  // of blocks, warps, diverged lanes, and of the lanes of one store or atomic
  std::uint64_t seed = 1;         // of kRandom
  Checks checks{};
  bool counters = true;
  std::uint64_t max_warp_instructions = 2'000'000'000;  // of one launch: a kernel that spins for ever ends in an error
};

enum class Class {
  kInteger,
  kFloat,
  kHalf,
  kConvert,
  kGlobal,
  kShared,
  kLocal,
  kParameter,
  kAtomic,
  kWarp,
  kBarrier,
  kMatrix,
  kAsync,
  kControl
};
inline constexpr std::size_t kClasses = 14;
[[nodiscard]] std::string_view class_name(Class value);

struct Traffic {
  std::uint64_t bytes = 0;             // requested by the lanes
  std::uint64_t sectors = 0;           // 32-byte sectors, distinct within each warp request, summed
  std::uint64_t distinct_sectors = 0;  // 32-byte sectors, each counted once since reset_counters()
};

struct SharedTraffic {
  std::uint64_t wavefronts = 0;
  std::uint64_t ideal_wavefronts = 0;  // distinct bytes of each request / 128, rounded up
};

/// Summed over all launches since reset_counters().
struct Counters {
  Traffic global_loads;   // with cp.async and atomics
  Traffic global_stores;  // with atomics
  SharedTraffic shared;
  std::array<std::uint64_t, kClasses> warp_instructions{};  // by Class
  std::uint64_t launches = 0;
  std::uint64_t blocks = 0;

  [[nodiscard]] std::uint64_t instructions(Class value) const {
    return warp_instructions[static_cast<std::size_t>(value)];
  }
};

/// True when kernels run in the executor, false on a card.
[[nodiscard]] bool executing();

void set_options(const Options& options);
[[nodiscard]] Options options();

[[nodiscard]] Counters counters();
void reset_counters();

/// Fills device memory with 0xff (NaN, -1) and forgets that anything was written there.
void poison(void* device, std::size_t bytes);

/// How many of these bytes nothing has written since they were allocated or poisoned; 0 on a card.
[[nodiscard]] std::size_t unwritten(const void* device, std::size_t bytes);

/// What the last failed launch did wrong (also the text of cudaGetErrorString); empty when there was none. Forgets it.
[[nodiscard]] std::string take_fault();

/// The schedules every kernel test runs: forward, reverse, random.
[[nodiscard]] std::vector<Options> schedules(std::uint64_t seed = 1);

}  // namespace ptx
