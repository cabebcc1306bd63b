#include "ptx_hopper_kernels.hpp"

#include <kernels/common/ptx_sm90.cuh>
#include <kernels/common/tensor_map.hpp>
#include <kernels/common/wgmma.cuh>

namespace ptx::test {
namespace {

namespace tk = traincost::kernels;
namespace px = traincost::kernels::ptx;

constexpr int kStages = 2;
constexpr int kStageBytes = kPipelineRows * kPipelineDepth * 2;  // of an operand
constexpr int kConsumers = 128;

struct Ring {
  std::uint32_t a, b, full, empty;
  __device__ explicit Ring(std::uint32_t base)
      : a(base), b(base + kStages * kStageBytes), full(base + 2 * kStages * kStageBytes), empty(full + 8 * kStages) {}
};
constexpr int kRingBytes = 2 * kStages * kStageBytes + 16 * kStages;

template <Pipeline kFault>
__device__ void produce(const Ring& ring, const CUtensorMap& a, const CUtensorMap& b, int steps) {
  constexpr int kOff = kFault == Pipeline::kTooManyBytes ? 16 : (kFault == Pipeline::kTooFewBytes ? -kStageBytes : 0);
  for (int step = 0; step < steps; ++step) {
    const int stage = step % kStages;
    const std::uint32_t full = ring.full + 8 * stage;
    if (kFault != Pipeline::kNoEmptyWait) px::mbarrier_wait(ring.empty + 8 * stage, (step / kStages & 1) ^ 1);
    px::mbarrier_arrive_expect_tx(full, 2 * kStageBytes + kOff);
    px::cp_async_bulk_tensor_2d(ring.a + stage * kStageBytes, &a, step * kPipelineDepth, 0, full);
    px::cp_async_bulk_tensor_2d(ring.b + stage * kStageBytes, &b, step * kPipelineDepth, 0, full);
  }
}

template <Pipeline kFault>
__device__ void consume(const Ring& ring, float* output, int steps) {
  constexpr std::uint64_t kOtherSwizzle = kFault == Pipeline::kWrongSwizzle ? std::uint64_t{3} << 62 : 0;
  float c[kPipelineColumns / 2] = {};
  for (int step = 0; step < steps; ++step) {
    const int stage = step % kStages;
    if (kFault != Pipeline::kNoFullWait) px::mbarrier_wait(ring.full + 8 * stage, step / kStages & 1);
    if (kFault == Pipeline::kTouchesStage && step + 1 < steps && threadIdx.x == 0) {
      asm volatile("st.shared.b32 [%0], 0;" ::"r"(ring.a + (step + 1) % kStages * kStageBytes) : "memory");
    }
    if (kFault != Pipeline::kNoProductFence) px::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kPipelineDepth; k += 16) {
      px::wgmma<px::Order::reduction, px::Order::reduction>(
          __nv_bfloat16{}, c, px::matrix_descriptor(ring.a + stage * kStageBytes + 2 * k, 0),
          px::matrix_descriptor(ring.b + stage * kStageBytes + 2 * k, 0) ^ kOtherSwizzle, true);
    }
    if (kFault != Pipeline::kNoCommit) px::wgmma_commit_group();
    if (kFault == Pipeline::kEmptyBeforeWait) px::mbarrier_arrive(ring.empty + 8 * stage);
    if (kFault != Pipeline::kNoProductWait) px::wgmma_wait_group<0>();
    if (kFault == Pipeline::kNoProductWait) px::wgmma_wait_group<1>();
    if (kFault == Pipeline::kOneWarpReleases) {
      if (threadIdx.x == 0) {
        for (int i = 0; i < kConsumers; ++i) px::mbarrier_arrive(ring.empty + 8 * stage);
      }
    } else if (kFault != Pipeline::kEmptyBeforeWait) {
      px::mbarrier_arrive(ring.empty + 8 * stage);
    }
  }
  px::hold(c);
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  for (int i = 0; i < kPipelineColumns / 2; ++i) {
    const int row = warp * 16 + i / 2 % 2 * 8 + lane / 4;
    output[row * kPipelineColumns + i / 4 * 8 + lane % 4 * 2 + i % 2] = c[i];
  }
}

template <Pipeline kFault>
__global__ void __launch_bounds__(kConsumers + 32)
    pipeline_kernel(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b, float* output,
                    int steps) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const Ring ring(px::shared_address(shared));
  if (threadIdx.x == 0 && kFault != Pipeline::kNoBarrierInit) {
    for (int stage = 0; stage < kStages; ++stage) {
      px::mbarrier_init(ring.full + 8 * stage, 1);
      px::mbarrier_init(ring.empty + 8 * stage, kConsumers);
    }
    px::fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x >= kConsumers) {
    if (px::elect()) produce<kFault>(ring, a, b, steps);
  } else {
    consume<kFault>(ring, output, steps);
  }
}

template <Pipeline kFault>
void run_pipeline(const __nv_bfloat16* a, const __nv_bfloat16* b, float* output, int k) {
  const auto map = [k](const __nv_bfloat16* data) {
    return tk::tensor_map(
        data,
        {.rows = kPipelineRows, .columns = k, .stride = k, .box_rows = kPipelineRows, .box_columns = kPipelineDepth});
  };
  cudaFuncSetAttribute(pipeline_kernel<kFault>, cudaFuncAttributeMaxDynamicSharedMemorySize, kRingBytes);
  pipeline_kernel<kFault>
      <<<1, kConsumers + 32, kRingBytes>>>(map(a), map(b), output, (k + kPipelineDepth - 1) / kPipelineDepth);
}

template <Proxy kFault>
__global__ void proxy_kernel(const float* input, float* output, int n) {
  __shared__ __align__(16) float buffer[1024];
  for (int i = threadIdx.x; i < n; i += blockDim.x) buffer[i] = input[i] + 1;
  if (kFault != Proxy::kNoFence) px::fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(output),
                 "r"(px::shared_address(buffer)), "r"(n * 4)
                 : "memory");
    if (kFault != Proxy::kNoCommit) asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    if (kFault != Proxy::kNoWait && kFault != Proxy::kNoReadWait) {
      asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
    }
    buffer[0] = 0;
    if (kFault == Proxy::kNoReadWait) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}

constexpr int kTile = 32;

template <Clusters kFault>
__global__ void __cluster_dims__(2, 1, 1) cluster_kernel(const __grid_constant__ CUtensorMap map, float* output) {
  __shared__ __align__(1024) float tile[kTile * kTile];
  __shared__ float from_peer;
  __shared__ __align__(8) std::uint64_t barrier;
  const std::uint32_t rank = px::cluster_ctarank();
  const std::uint32_t full = px::shared_address(&barrier);
  constexpr int kHalf = kTile * kTile / 2;
  if (threadIdx.x == 0) {
    px::mbarrier_init(full, 1);
    px::fence_mbarrier_init();
  }
  if (kFault != Clusters::kNoClusterBarrier) {
    px::barrier_cluster_arrive();
    px::barrier_cluster_wait();
  } else {
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    px::mbarrier_arrive_expect_tx(full, kFault == Clusters::kHalfTheBytes ? kHalf * 4 : kHalf * 8);
    px::cp_async_bulk_tensor_2d_multicast(px::shared_address(tile + rank * kHalf), &map, 0,
                                          static_cast<int>(rank) * kTile / 2, full, 3);
    const std::uint32_t there =
        px::mapa(px::shared_address(&from_peer), (rank ^ 1) + (kFault == Clusters::kPastTheCluster ? 2 : 0));
    asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(there), "f"(static_cast<float>(rank)) : "memory");
  }
  px::barrier_cluster_arrive();
  if (kFault != Clusters::kNoWaitAtEnd) px::barrier_cluster_wait();
  px::mbarrier_wait(full, 0);
  for (int i = threadIdx.x; i < kTile * kTile; i += blockDim.x) {
    output[rank * kTile * kTile + i] = tile[i] + from_peer;
  }
}

template <Clusters kFault>
void run_cluster(const float* tile, float* output) {
  const CUtensorMap map = tk::tensor_map(tile, {.rows = kTile,
                                                .columns = kTile,
                                                .stride = kTile,
                                                .box_rows = kTile / 2,
                                                .box_columns = kTile,
                                                .swizzle = CU_TENSOR_MAP_SWIZZLE_NONE});
  cluster_kernel<kFault><<<2, 64>>>(map, output);
}

struct Coordinates {
  int x, y, z;
};

__global__ void box_load_kernel(const __grid_constant__ CUtensorMap map, Coordinates at, int dimensions, int bytes,
                                std::uint8_t* output) {
  __shared__ __align__(1024) std::uint8_t box[16384];
  __shared__ __align__(8) std::uint64_t barrier;
  const std::uint32_t full = px::shared_address(&barrier);
  if (threadIdx.x == 0) {
    px::mbarrier_init(full, 1);
    px::mbarrier_arrive_expect_tx(full, bytes);
    if (dimensions == 2) {
      px::cp_async_bulk_tensor_2d(px::shared_address(box), &map, at.x, at.y, full);
    } else {
      px::cp_async_bulk_tensor_3d(px::shared_address(box), &map, at.x, at.y, at.z, full);
    }
  }
  __syncthreads();
  px::mbarrier_wait(full, 0);
  for (int i = threadIdx.x; i < bytes; i += blockDim.x) output[i] = box[i];
}

__global__ void box_store_kernel(const __grid_constant__ CUtensorMap map, Coordinates at, int bytes) {
  __shared__ __align__(1024) std::uint32_t box[4096];
  for (int i = threadIdx.x; i < bytes / 4; i += blockDim.x) box[i] = i;
  px::fence_proxy_async();
  __syncthreads();
  if (threadIdx.x != 0) return;
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map), "r"(at.x),
               "r"(at.y), "r"(px::shared_address(box))
               : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

__device__ __forceinline__ void wait_for_grid() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
__device__ __forceinline__ void launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

__global__ void doubling_kernel(const float* in, float* data, int n) {
  launch_dependents();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) data[i] = 2 * in[i];
}

template <Dependent kFault>
__global__ void adding_kernel(float* in, const float* data, float* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  out[i] = 1;  // belongs to this grid
  if (kFault == Dependent::kReadsBeforeWait) out[i] += data[i];
  if (kFault == Dependent::kWritesBeforeWait) in[i] = 0;
  constexpr bool kOneWaits = kFault == Dependent::kOneThreadWaits || kFault == Dependent::kNoBarrierAfterOneWaits;
  if (kFault != Dependent::kNoWait && (!kOneWaits || threadIdx.x == 0)) wait_for_grid();
  if (kFault == Dependent::kOneThreadWaits) __syncthreads();
  if (kFault != Dependent::kReadsBeforeWait) out[i] += data[i];
}

__global__ void between_kernel(bool waits) {
  if (waits) wait_for_grid();
}

template <class... Params, class... Args>
void launch_dependent(void (*kernel)(Params...), int blocks, bool is_dependent, Args... args) {
  cudaLaunchAttribute serialization{};
  serialization.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  serialization.val.programmaticStreamSerializationAllowed = is_dependent ? 1 : 0;
  cudaLaunchConfig_t config{};
  config.gridDim = static_cast<unsigned>(blocks);
  config.blockDim = 64;
  config.attrs = &serialization;
  config.numAttrs = 1;
  cudaLaunchKernelEx(&config, kernel, args...);
}

}  // namespace

void launch_pipeline(Pipeline fault, const __nv_bfloat16* a, const __nv_bfloat16* b, float* output, int k) {
  switch (fault) {
#define CASE(f)     \
  case Pipeline::f: \
    return run_pipeline<Pipeline::f>(a, b, output, k);
    CASE(kNone)
    CASE(kNoFullWait)
    CASE(kNoEmptyWait)
    CASE(kTooManyBytes)
    CASE(kTooFewBytes)
    CASE(kWrongSwizzle)
    CASE(kNoCommit)
    CASE(kNoProductWait)
    CASE(kEmptyBeforeWait)
    CASE(kNoProductFence)
    CASE(kNoBarrierInit)
    CASE(kOneWarpReleases)
    CASE(kTouchesStage)
#undef CASE
  }
}

void launch_proxy(Proxy fault, const float* input, float* output, int n) {
  switch (fault) {
#define CASE(f)  \
  case Proxy::f: \
    return proxy_kernel<Proxy::f><<<1, 128>>>(input, output, n);
    CASE(kNone)
    CASE(kNoFence)
    CASE(kNoCommit)
    CASE(kNoReadWait)
    CASE(kNoWait)
#undef CASE
  }
}

void launch_cluster(Clusters fault, const float* tile, float* output) {
  switch (fault) {
#define CASE(f)     \
  case Clusters::f: \
    return run_cluster<Clusters::f>(tile, output);
    CASE(kNone)
    CASE(kNoWaitAtEnd)
    CASE(kNoClusterBarrier)
    CASE(kPastTheCluster)
    CASE(kHalfTheBytes)
#undef CASE
  }
}

void launch_box_load(const CUtensorMap& map, std::array<int, 3> at, int dimensions, int bytes, std::uint8_t* output) {
  box_load_kernel<<<1, 128>>>(map, {at[0], at[1], at[2]}, dimensions, bytes, output);
}

void launch_box_store(const CUtensorMap& map, std::array<int, 2> at, int bytes) {
  box_store_kernel<<<1, 128>>>(map, {at[0], at[1], 0}, bytes);
}

void launch_doubling(float* in, float* data, int n) { doubling_kernel<<<n / 64, 64>>>(in, data, n); }

void launch_adding(Dependent fault, float* in, const float* data, float* out, int n, bool is_dependent) {
  switch (fault) {
#define CASE(f)      \
  case Dependent::f: \
    return launch_dependent(adding_kernel<Dependent::f>, n / 64, is_dependent, in, data, out, n);
    CASE(kNone)
    CASE(kOneThreadWaits)
    CASE(kNoWait)
    CASE(kReadsBeforeWait)
    CASE(kWritesBeforeWait)
    CASE(kNoBarrierAfterOneWaits)
#undef CASE
  }
}

void launch_between(bool waits) { launch_dependent(between_kernel, 1, true, waits); }

}  // namespace ptx::test
