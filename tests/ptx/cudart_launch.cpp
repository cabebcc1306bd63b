#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "cudart.hpp"
#include "error.hpp"
#include "session.hpp"

// The stand-in CUDA runtime: what the code that nvcc generates calls to register and launch kernels.
namespace ptx {
namespace {

constexpr std::size_t kDefaultShared = 48 << 10;  // without cudaFuncAttributeMaxDynamicSharedMemorySize
// Of a block: compute capability 8.0 and 9.0.
constexpr std::size_t kMostShared80 = 163 << 10;
constexpr std::size_t kMostShared90 = 227 << 10;
constexpr std::uint64_t kMostBlocksOfCluster = 8;  // portable

std::size_t most_shared(const Kernel& kernel) { return kernel.module->is_for_hopper() ? kMostShared90 : kMostShared80; }

struct Configuration {
  dim3 grid, block;
  std::size_t shared = 0;
  cudaStream_t stream = nullptr;
};
std::vector<Configuration>& configurations() {
  static std::vector<Configuration> stack;
  return stack;
}

Dim dim(dim3 value) { return {value.x, value.y, value.z}; }

bool fits(const Kernel& kernel, const Program& program, const LaunchShape& shape) {
  const std::uint64_t threads = shape.block.count();
  const std::size_t limit = kernel.max_dynamic_shared != 0 ? most_shared(kernel) : kDefaultShared;
  const Dim cluster = shape.cluster.value_or(program.cluster);
  if (cluster.count() == 0 || cluster.count() > kMostBlocksOfCluster || shape.grid.x % cluster.x != 0 ||
      shape.grid.y % cluster.y != 0 || shape.grid.z % cluster.z != 0) {
    return false;
  }
  return threads > 0 && threads <= 1024 && shape.block.z <= 64 && shape.grid.count() > 0 && shape.grid.y <= 65535 &&
         shape.grid.z <= 65535 && program.static_shared_bytes + shape.dynamic_shared <= limit;
}

cudaError_t run_kernel(Kernel& kernel, const LaunchShape& shape, void** arguments) {
  try {
    const Program& program = kernel.module->program(kernel.name);
    if (!fits(kernel, program, shape)) return record(cudaErrorInvalidConfiguration);
    launch(program, shape, arguments);
  } catch (const KernelFault& fault) {
    session().fault = session().last_fault = fault.what();
    return record(cudaErrorLaunchFailure);
  } catch (const PtxError& error) {
    session().fault = session().last_fault = error.what();
    return record(cudaErrorInvalidPtx);
  }
  return cudaSuccess;
}

cudaError_t run_kernel(Kernel& kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared) {
  return run_kernel(kernel, {.grid = dim(grid), .block = dim(block), .dynamic_shared = shared}, arguments);
}

}  // namespace

Kernel* find_kernel(const void* function) {
  const auto found = session().kernels.find(function);
  return found == session().kernels.end() ? nullptr : &found->second;
}

}  // namespace ptx

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the names that nvcc's code calls
void** __cudaRegisterFatBinary(void* image) {
  auto& modules = ptx::session().modules;
  // What is wrong with the image is said when one of its kernels is launched: this runs before main.
  std::string text;
  try {
    text = ptx::ptx_of(image);
  } catch (const ptx::PtxError& error) {
    fmt::print(stderr, "{}\n", error.what());
  }
  modules.push_back(std::make_unique<ptx::LoadedModule>(std::move(text)));
  return reinterpret_cast<void**>(modules.back().get());
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }

void __cudaRegisterFunction(void** module, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  ptx::session().kernels[host] = {.module = reinterpret_cast<ptx::LoadedModule*>(module), .name = name};
}

void __cudaRegisterVar(void** module, char* host, char*, const char* name, int, std::size_t, int, int) {
  ptx::session().variables[host] = {reinterpret_cast<ptx::LoadedModule*>(module), name};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, CUstream_st* stream) {
  ptx::configurations().push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  const auto top = ptx::configurations().back();
  ptx::configurations().pop_back();
  *grid = top.grid;
  *block = top.block;
  *shared = top.shared;
  *static_cast<cudaStream_t*>(stream) = top.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(ptx::find_kernel(function));
  return *kernel == nullptr ? ptx::record(cudaErrorInvalidDeviceFunction) : cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                               cudaStream_t) {
  return ptx::run_kernel(*reinterpret_cast<ptx::Kernel*>(kernel), grid, block, arguments, shared);
}

// NOLINTEND(bugprone-reserved-identifier)

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                             cudaStream_t) {
  ptx::Kernel* kernel = ptx::find_kernel(function);
  if (kernel == nullptr) return ptx::record(cudaErrorInvalidDeviceFunction);
  return ptx::run_kernel(*kernel, grid, block, arguments, shared);
}
// Blocks that wait for one another run side by side anyway (run.cpp).
cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                                        std::size_t shared, cudaStream_t stream) {
  return cudaLaunchKernel(function, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  ptx::Kernel* kernel = ptx::find_kernel(function);
  if (kernel == nullptr) return ptx::record(cudaErrorInvalidDeviceFunction);
  ptx::LaunchShape shape{.grid = ptx::dim(config->gridDim),
                         .block = ptx::dim(config->blockDim),
                         .dynamic_shared = config->dynamicSmemBytes};
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config->attrs[i];
    if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization)
      shape.dependent = attribute.val.programmaticStreamSerializationAllowed != 0;
    if (attribute.id != cudaLaunchAttributeClusterDimension) continue;
    const auto& size = attribute.val.clusterDim;
    shape.cluster = ptx::Dim{size.x, size.y, size.z};
  }
  return ptx::run_kernel(*kernel, shape, arguments);
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  ptx::Kernel* kernel = ptx::find_kernel(function);
  if (kernel == nullptr) return ptx::record(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    if (value < 0 || static_cast<std::size_t>(value) > ptx::most_shared(*kernel))
      return ptx::record(cudaErrorInvalidValue);
    kernel->max_dynamic_shared = static_cast<std::size_t>(value);
  }
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  ptx::Kernel* kernel = ptx::find_kernel(function);
  if (kernel == nullptr) return ptx::record(cudaErrorInvalidDeviceFunction);
  const ptx::Program& program = kernel->module->program(kernel->name);
  *attributes = {};
  attributes->sharedSizeBytes = program.static_shared_bytes;
  attributes->localSizeBytes = program.local_bytes;
  attributes->maxThreadsPerBlock = 1024;
  attributes->ptxVersion = 80;
  attributes->binaryVersion = 80;
  return cudaSuccess;
}

// Registers are unknown here: this counts threads and shared memory only.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* function, int block,
                                                                   std::size_t shared, unsigned) {
  ptx::Kernel* kernel = ptx::find_kernel(function);
  if (kernel == nullptr || block <= 0) return ptx::record(cudaErrorInvalidValue);
  const std::size_t bytes = kernel->module->program(kernel->name).static_shared_bytes + shared + 1024;
  *blocks = std::min(2048 / block, static_cast<int>((164U << 10) / bytes));
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int block,
                                                          std::size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block, shared, 0);
}

}  // extern "C"
