#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>

#include "cudart.hpp"
#include "error.hpp"
#include "session.hpp"

// The stand-in CUDA runtime: memory, streams, events, the device. Everything happens at once and in order.
namespace ptx {
namespace {

cudaError_t last_error = cudaSuccess;

cudaError_t allocate(void** out, std::size_t bytes) {
  if (out == nullptr) return record(cudaErrorInvalidValue);
  if (bytes == 0) {
    *out = nullptr;
    return cudaSuccess;
  }
  *out = memory().allocate(bytes);
  return cudaSuccess;
}

cudaError_t release(void* pointer) {
  if (pointer == nullptr || memory().release(pointer)) return cudaSuccess;
  return record(cudaErrorInvalidValue);
}

/// What the host waits for, and what follows in the stream without being a dependent launch.
cudaError_t all_ended() {
  memory().complete_launches();
  return cudaSuccess;
}

// A copy carries along what was written and what was not.
cudaError_t copy(void* to, const void* from, std::size_t bytes) {
  all_ended();
  if (bytes == 0) return cudaSuccess;
  Allocation* target = memory().find(reinterpret_cast<std::uint64_t>(to));
  Allocation* source = memory().find(reinterpret_cast<std::uint64_t>(from));
  if (target != nullptr && !target->contains(reinterpret_cast<std::uint64_t>(to), bytes))
    return record(cudaErrorInvalidValue);
  if (source != nullptr && !source->contains(reinterpret_cast<std::uint64_t>(from), bytes))
    return record(cudaErrorInvalidValue);
  std::memmove(to, from, bytes);
  if (target == nullptr) return cudaSuccess;
  std::uint8_t* shadow = target->shadow_of(reinterpret_cast<std::uint64_t>(to));
  if (source != nullptr) {
    std::memmove(shadow, source->shadow_of(reinterpret_cast<std::uint64_t>(from)), bytes);
  } else {
    std::memset(shadow, kWritten, bytes);
  }
  return cudaSuccess;
}

cudaError_t fill(void* to, int value, std::size_t bytes) {
  all_ended();
  if (bytes == 0) return cudaSuccess;
  if (!memory().mark(to, bytes, kWritten)) return record(cudaErrorInvalidValue);
  std::memset(to, value, bytes);
  return cudaSuccess;
}

void* symbol_address(const void* symbol) {
  const auto found = session().variables.find(symbol);
  if (found == session().variables.end()) return nullptr;
  return host_pointer(found->second.first->address(found->second.second));
}

bool is_hopper() {
  const auto& modules = session().modules;
  return std::any_of(modules.begin(), modules.end(), [](const auto& module) { return module->is_for_hopper(); });
}

using Time = std::chrono::steady_clock::time_point;

}  // namespace

cudaError_t record(cudaError_t error) {
  last_error = error;
  return error;
}

}  // namespace ptx

struct CUstream_st {};
struct CUevent_st {
  ptx::Time time;
};

extern "C" {

cudaError_t cudaMalloc(void** out, std::size_t bytes) { return ptx::allocate(out, bytes); }
cudaError_t cudaMallocAsync(void** out, std::size_t bytes, cudaStream_t) { return ptx::allocate(out, bytes); }
cudaError_t cudaFree(void* pointer) { return ptx::release(pointer); }
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t) { return ptx::release(pointer); }

// The host writes to these unseen: they count as written.
cudaError_t cudaMallocHost(void** out, std::size_t bytes) {
  const cudaError_t error = ptx::allocate(out, bytes);
  if (error == cudaSuccess && bytes != 0) ptx::fill(*out, 0, bytes);
  return error;
}
cudaError_t cudaHostAlloc(void** out, std::size_t bytes, unsigned) { return cudaMallocHost(out, bytes); }
cudaError_t cudaMallocManaged(void** out, std::size_t bytes, unsigned) { return cudaMallocHost(out, bytes); }
cudaError_t cudaFreeHost(void* pointer) { return ptx::release(pointer); }
cudaError_t cudaHostGetDevicePointer(void** out, void* host, unsigned) {
  *out = host;
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  return ptx::copy(to, from, bytes);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  return ptx::copy(to, from, bytes);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) { return ptx::fill(to, value, bytes); }
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  return ptx::fill(to, value, bytes);
}
cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, std::size_t bytes, std::size_t offset,
                               cudaMemcpyKind) {
  auto* to = static_cast<std::byte*>(ptx::symbol_address(symbol));
  return to == nullptr ? ptx::record(cudaErrorInvalidSymbol) : ptx::copy(to + offset, from, bytes);
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, std::size_t bytes, std::size_t offset, cudaMemcpyKind) {
  const auto* from = static_cast<const std::byte*>(ptx::symbol_address(symbol));
  return from == nullptr ? ptx::record(cudaErrorInvalidSymbol) : ptx::copy(to, from + offset, bytes);
}
cudaError_t cudaGetSymbolAddress(void** out, const void* symbol) {
  *out = ptx::symbol_address(symbol);
  return *out == nullptr ? ptx::record(cudaErrorInvalidSymbol) : cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
  *total = std::size_t{80} << 30;
  *available = *total;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(ptx::last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return ptx::last_error; }
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorInvalidPtx:
      return "cudaErrorInvalidPtx";
    default:
      return "cudaError";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorLaunchFailure || error == cudaErrorInvalidPtx) return ptx::session().last_fault.c_str();
  return cudaGetErrorName(error);
}

cudaError_t cudaDeviceSynchronize() { return ptx::all_ended(); }
cudaError_t cudaStreamCreate(cudaStream_t* out) {
  *out = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) { return cudaStreamCreate(out); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return ptx::all_ended(); }
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* out) {
  *out = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) { return cudaEventCreate(out); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return ptx::all_ended(); }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
// Time on this machine, not on a card.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

// The device: an A100, or an H100 when the program's kernels are for one.
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : ptx::record(cudaErrorInvalidDevice); }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  static const std::map<cudaDeviceAttr, int> kHopper{{cudaDevAttrComputeCapabilityMajor, 9},
                                                     {cudaDevAttrMultiProcessorCount, 132},
                                                     {cudaDevAttrMaxSharedMemoryPerBlockOptin, 227 << 10},
                                                     {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 228 << 10},
                                                     {cudaDevAttrL2CacheSize, 50 << 20}};
  const auto hopper = kHopper.find(attribute);
  if (ptx::is_hopper() && hopper != kHopper.end()) {
    *value = hopper->second;
    return cudaSuccess;
  }
  static const std::map<cudaDeviceAttr, int> kValues{{cudaDevAttrComputeCapabilityMajor, 8},
                                                     {cudaDevAttrComputeCapabilityMinor, 0},
                                                     {cudaDevAttrMultiProcessorCount, 108},
                                                     {cudaDevAttrWarpSize, 32},
                                                     {cudaDevAttrMaxThreadsPerBlock, 1024},
                                                     {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
                                                     {cudaDevAttrMaxGridDimX, 0x7fffffff},
                                                     {cudaDevAttrMaxGridDimY, 65535},
                                                     {cudaDevAttrMaxGridDimZ, 65535},
                                                     {cudaDevAttrMaxSharedMemoryPerBlock, 48 << 10},
                                                     {cudaDevAttrMaxSharedMemoryPerBlockOptin, 163 << 10},
                                                     {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 164 << 10},
                                                     {cudaDevAttrReservedSharedMemoryPerBlock, 1 << 10},
                                                     {cudaDevAttrL2CacheSize, 40 << 20},
                                                     {cudaDevAttrCooperativeLaunch, 1},
                                                     {cudaDevAttrMemoryPoolsSupported, 1}};
  const auto found = kValues.find(attribute);
  if (found == kValues.end()) return ptx::record(cudaErrorInvalidValue);
  *value = found->second;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "PTX executor (compute capability 8.0)");
  properties->major = 8;
  properties->minor = 0;
  properties->multiProcessorCount = 108;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = 163 << 10;
  properties->sharedMemPerMultiprocessor = 164 << 10;
  properties->l2CacheSize = 40 << 20;
  properties->totalGlobalMem = std::size_t{80} << 30;
  return cudaSuccess;
}

}  // extern "C"
