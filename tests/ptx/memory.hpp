#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

// Global memory: every allocation with its bounds and, byte by byte, whether something wrote it.
namespace ptx {

/// The state of a byte in a shadow map. Fresh pages of a map are zero, hence kUnwritten.
enum : std::uint8_t { kUnwritten = 0, kWritten = 1, kGap = 2, kInFlight = 3, kBarrierObject = 4 };

inline constexpr std::size_t kSector = 32;  // bytes that DRAM and L2 move at least

/// Device addresses are host addresses.
inline std::byte* host_pointer(std::uint64_t address) {
  return reinterpret_cast<std::byte*>(address);  // NOLINT(performance-no-int-to-ptr)
}

/// Bytes of an allocation that a launch touched; empty: none.
struct Touched {
  std::vector<bool> read, written;
};

struct Allocation {
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  std::uint8_t* shadow = nullptr;     // [bytes]
  std::string name;                   // of a __device__ variable
  std::vector<std::uint64_t> loaded;  // one bit a sector, empty until something is counted
  std::vector<std::uint64_t> stored;
  // Only while a program has dependent launches: the running launch, the one before it, and those before that one which
  // it did not wait for.
  Touched now, before, older;

  [[nodiscard]] bool contains(std::uint64_t address, std::size_t size) const {
    const std::uint64_t offset = address - reinterpret_cast<std::uint64_t>(base);
    return offset < bytes && size <= bytes - offset;
  }
  [[nodiscard]] std::uint8_t* shadow_of(std::uint64_t address) const {
    return shadow + (address - reinterpret_cast<std::uint64_t>(base));
  }
};

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  void* allocate(std::size_t bytes, const std::string& name = {});
  bool release(void* base);  // false: no such allocation
  void reset();

  [[nodiscard]] Allocation* find(std::uint64_t address);
  /// For an error text: the nearest allocation and where the address lies.
  [[nodiscard]] std::string describe(std::uint64_t address) const;

  /// Host-side writes (cudaMemcpy, cudaMemset); false when [to, to + bytes) is no device memory.
  bool mark(const void* to, std::size_t bytes, std::uint8_t state);
  [[nodiscard]] std::size_t count(const void* from, std::size_t bytes, std::uint8_t state);

  /// Each once, also those of memory that has been freed since.
  [[nodiscard]] std::uint64_t distinct_sectors(bool stored) const;
  void reset_sectors();

  /// Of a launch whose touches are recorded. `waited`: it ended after the one before it.
  void end_launch(bool waited);
  /// All launches have ended.
  void complete_launches();

 private:
  void forget_oldest();

  bool has_touched_ = false;        // allocations hold what launches touched
  std::uint64_t freed_loaded_ = 0;  // sectors
  std::uint64_t freed_stored_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Allocation>> allocations_;  // by base
  std::deque<std::pair<std::uint64_t, std::size_t>> freed_;           // their addresses are not used again for a while
};

Memory& memory();

}  // namespace ptx
