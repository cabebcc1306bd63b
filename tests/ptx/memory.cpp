#include "memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

namespace ptx {
namespace {

constexpr std::size_t kAlign = 256;  // as cudaMalloc
constexpr std::size_t kPoisonLimit = std::size_t{1}
                                     << 28;  // larger allocations are not filled: their pages stay virtual

constexpr std::size_t kQuarantine = 256;  // freed allocations that are remembered

// Pages come zero and only when touched, so that a test may allocate more than 2^32 bytes.
void* map_pages(std::size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  return pages;
}

// The data ends at the end of its 256-byte unit, and unmapped or foreign bytes follow only after a gap.
std::size_t mapped(std::size_t bytes) { return (bytes + kAlign) / kAlign * kAlign; }

std::uint64_t count_bits(const std::vector<std::uint64_t>& words) {
  return std::transform_reduce(words.begin(), words.end(), std::uint64_t{0}, std::plus<>(),
                               [](std::uint64_t word) { return static_cast<std::uint64_t>(std::popcount(word)); });
}

}  // namespace

Memory::~Memory() { reset(); }

void Memory::reset() {
  while (!allocations_.empty()) release(allocations_.begin()->second->base);
  while (!freed_.empty()) forget_oldest();
}

void Memory::forget_oldest() {
  munmap(host_pointer(freed_.front().first), mapped(freed_.front().second));
  freed_.pop_front();
}

void* Memory::allocate(std::size_t bytes, const std::string& name) {
  auto allocation = std::make_unique<Allocation>();
  allocation->base = static_cast<std::byte*>(map_pages(mapped(bytes)));
  allocation->bytes = bytes;
  allocation->shadow = static_cast<std::uint8_t*>(map_pages(mapped(bytes)));
  allocation->name = name;
  if (bytes <= kPoisonLimit) std::memset(allocation->base, 0xff, bytes);
  void* base = allocation->base;
  const auto key = reinterpret_cast<std::uint64_t>(base);
  allocations_[key] = std::move(allocation);
  return base;
}

bool Memory::release(void* base) {
  const auto found = allocations_.find(reinterpret_cast<std::uint64_t>(base));
  if (found == allocations_.end()) return false;
  const Allocation& allocation = *found->second;
  freed_loaded_ += count_bits(allocation.loaded);
  freed_stored_ += count_bits(allocation.stored);
  munmap(allocation.shadow, mapped(allocation.bytes));
  // The pages go back, the addresses stay taken: a kernel that still uses them is told so.
  if (mmap(allocation.base, mapped(allocation.bytes), PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
    throw std::bad_alloc();
  }
  freed_.emplace_back(found->first, allocation.bytes);
  if (freed_.size() > kQuarantine) forget_oldest();
  allocations_.erase(found);
  return true;
}

Allocation* Memory::find(std::uint64_t address) {
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return nullptr;
  Allocation* allocation = std::prev(after)->second.get();
  return allocation->contains(address, 1) ? allocation : nullptr;
}

std::string Memory::describe(std::uint64_t address) const {
  if (address < 4096) return "a null pointer";
  for (const auto& [base, bytes] : freed_) {
    if (address >= base && address < base + bytes) {
      return fmt::format("{} bytes into a freed allocation of {} bytes", address - base, bytes);
    }
  }
  const auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return "no allocation lies near it";
  const Allocation& before = *std::prev(after)->second;
  const std::uint64_t offset = address - reinterpret_cast<std::uint64_t>(before.base);
  const std::string name = before.name.empty() ? "an allocation" : before.name;
  if (offset < before.bytes) return fmt::format("at byte {} of {} of {} bytes", offset, name, before.bytes);
  return fmt::format("{} bytes past the end of {} of {} bytes", offset - before.bytes, name, before.bytes);
}

bool Memory::mark(const void* to, std::size_t bytes, std::uint8_t state) {
  const auto address = reinterpret_cast<std::uint64_t>(to);
  Allocation* allocation = find(address);
  if (allocation == nullptr || !allocation->contains(address, bytes)) return false;
  std::memset(allocation->shadow_of(address), state, bytes);
  return true;
}

std::size_t Memory::count(const void* from, std::size_t bytes, std::uint8_t state) {
  const auto address = reinterpret_cast<std::uint64_t>(from);
  Allocation* allocation = find(address);
  if (allocation == nullptr) return 0;
  const std::uint8_t* shadow = allocation->shadow_of(address);
  return static_cast<std::size_t>(std::count(shadow, shadow + bytes, state));
}

std::uint64_t Memory::distinct_sectors(bool stored) const {
  std::uint64_t sectors = stored ? freed_stored_ : freed_loaded_;
  for (const auto& [base, allocation] : allocations_)
    sectors += count_bits(stored ? allocation->stored : allocation->loaded);
  return sectors;
}

void Memory::reset_sectors() {
  freed_loaded_ = freed_stored_ = 0;
  for (auto& [base, allocation] : allocations_) {
    allocation->loaded.clear();
    allocation->stored.clear();
  }
}

void Memory::end_launch(bool waited) {
  has_touched_ = true;
  const auto join = [](std::vector<bool>& to, const std::vector<bool>& from) {
    if (to.size() < from.size()) to.resize(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = to[i] || from[i];
  };
  for (auto& [base, allocation] : allocations_) {
    if (!waited) {
      join(allocation->older.read, allocation->before.read);
      join(allocation->older.written, allocation->before.written);
    }
    allocation->before = std::exchange(allocation->now, {});
  }
}

void Memory::complete_launches() {
  if (!std::exchange(has_touched_, false)) return;
  for (auto& [base, allocation] : allocations_) allocation->now = allocation->before = allocation->older = {};
}

Memory& memory() {
  static Memory instance;
  return instance;
}

}  // namespace ptx
