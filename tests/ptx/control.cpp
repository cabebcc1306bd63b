#include <algorithm>
#include <utility>

#include "error.hpp"
#include "ptx/ptx.hpp"
#include "session.hpp"

namespace ptx {

std::string_view class_name(Class value) {
  static constexpr std::array<std::string_view, kClasses> kNames{"integer", "float",  "half",      "convert", "global",
                                                                 "shared",  "local",  "parameter", "atomic",  "warp",
                                                                 "barrier", "matrix", "async",     "control"};
  return kNames.at(static_cast<std::size_t>(value));
}

bool executing() { return true; }

void set_options(const Options& options) { session().options = options; }
Options options() { return session().options; }

Counters counters() {
  Counters out = session().counters;
  out.global_loads.distinct_sectors = memory().distinct_sectors(false);
  out.global_stores.distinct_sectors = memory().distinct_sectors(true);
  return out;
}

void reset_counters() {
  session().counters = {};
  memory().reset_sectors();
}

void poison(void* device, std::size_t bytes) {
  if (!memory().mark(device, bytes, kUnwritten)) throw PtxError("poison: not device memory");
  std::fill_n(static_cast<std::byte*>(device), bytes, std::byte{0xff});
}

std::size_t unwritten(const void* device, std::size_t bytes) { return memory().count(device, bytes, kUnwritten); }

std::string take_fault() { return std::exchange(session().fault, {}); }

std::vector<Options> schedules(std::uint64_t seed) {
  return {{.order = Order::kForward, .seed = seed},
          {.order = Order::kReverse, .seed = seed},
          {.order = Order::kRandom, .seed = seed}};
}

}  // namespace ptx
