#include <cuda_runtime_api.h>

#include "ptx/ptx.hpp"

// The control interface on a card: nothing is checked or counted.
namespace ptx {

std::string_view class_name(Class) { return ""; }
bool executing() { return false; }
void set_options(const Options&) {}
Options options() { return {}; }
Counters counters() { return {}; }
void reset_counters() {}
void poison(void* device, std::size_t bytes) { cudaMemset(device, 0xff, bytes); }
std::size_t unwritten(const void*, std::size_t) { return 0; }
std::string take_fault() { return {}; }
std::vector<Options> schedules(std::uint64_t) { return {Options{}}; }

}  // namespace ptx
