#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <type_traits>

#include <kernels/common/address.hpp>
#include <kernels/common/ptx_sm90.cuh>
#include <kernels/common/store_sm90.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/common/wgmma.cuh>

/// Products on Hopper: persistent blocks of one warpgroup that starts tensor copies and two that multiply 64 rows each.
/// Two blocks make a cluster: their tiles lie side by side, so each copies half of the rows of a for both. The kernel
/// says which tiles there are; everything here is about one cluster.
namespace traincost::kernels::gemm_sm90 {

using kernels::Output, kernels::kStagingBytes;
using ptx::E4m3;
using ptx::Order;

/// none: bf16. block: a has a scale per row and 128 of the reduction, b one per 128 x 128. rows: b as a.
enum class Scales { none, block, rows };

constexpr int kBlockM = 128;
constexpr int kCluster = 2;       // blocks
constexpr int kRowBytes = 128;    // of a stage along the reduction: what a swizzle spans
constexpr int kScaleBlock = 128;  // of the reduction
constexpr int kBoxOuter = 64;     // outer indices of a box of an operand that lies across the reduction (bf16)
constexpr int kConsumers = 256;   // threads
constexpr int kThreads = kConsumers + 128;
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;  // 128 * 40 + 256 * 232 = 384 * 168
constexpr int kMostShared = 227 << 10;
constexpr int kBarrierBytes = 256;
constexpr int kZeroBarrier = 1;  // of the block's named barriers

template <class ElementT, int kColumns, Order kOrderA, Order kOrderB, Scales kScalesOf>
struct Spec {
  using Element = ElementT;
  static constexpr int kBlockN = kColumns;
  static constexpr Order kA = kOrderA, kB = kOrderB;
  static constexpr Scales kScales = kScalesOf;
  static constexpr int kElementBytes = std::is_same_v<Element, E4m3> ? 1 : 2;
  static constexpr int kBlockK = kRowBytes / kElementBytes;
  static constexpr int kABytes = kBlockM * kRowBytes;
  static constexpr int kBBytes = kBlockN * kRowBytes;
  static constexpr int kAScaleBytes = kScales == Scales::none ? 0 : kBlockM * 4;
  static constexpr int kBScaleBytes = kScales == Scales::rows ? kBlockN * 4 : 0;
  static constexpr int kCopyBytes = kABytes + kBBytes + kAScaleBytes + kBScaleBytes;
  static constexpr int kStageBytes = (kCopyBytes + 1023) / 1024 * 1024;  // swizzles begin at multiples of 1024
  static constexpr int kStages = (kMostShared - 1024 - kBarrierBytes - 8 * kStagingBytes) / kStageBytes;
  static constexpr int kSharedBytes = 1024 + kStages * kStageBytes + 8 * kStagingBytes + kBarrierBytes;
};

/// Where things lie in a block's shared memory.
template <class S>
struct Shared {
  std::uint32_t stages, staging, full, empty;

  __device__ __forceinline__ explicit Shared(const void* dynamic) {
    stages = (ptx::shared_address(dynamic) + 1023) / 1024 * 1024;
    staging = stages + S::kStages * S::kStageBytes;
    full = staging + 8 * kStagingBytes;
    empty = full + 8 * S::kStages;
  }
  __device__ __forceinline__ std::uint32_t a(int stage) const { return stages + stage * S::kStageBytes; }
  __device__ __forceinline__ std::uint32_t b(int stage) const { return a(stage) + S::kABytes; }
  __device__ __forceinline__ std::uint32_t a_scales(int stage) const { return b(stage) + S::kBBytes; }
  __device__ __forceinline__ std::uint32_t b_scales(int stage) const { return a_scales(stage) + S::kAScaleBytes; }
};

/// The stage in turn, and the parity of its phase.
template <int kStages>
struct Turn {
  int stage = 0;
  std::uint32_t parity = 0;

  __device__ __forceinline__ void next() {
    if (++stage != kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

template <class S>
__device__ __forceinline__ void init_barriers(const Shared<S>& shared) {
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < S::kStages; ++stage) {
      ptx::mbarrier_init(shared.full + 8 * stage, 1);
      ptx::mbarrier_init(shared.empty + 8 * stage, kCluster * kConsumers / 32);
    }
    ptx::fence_mbarrier_init();
  }
  ptx::barrier_cluster_arrive();
  ptx::barrier_cluster_wait();
}

/// Where a tile's operands begin.
struct Origin {
  int a_outer, b_outer, b_batch;
  int reduction;  // of both
};

struct Maps {
  const CUtensorMap *a, *b, *a_scales, *b_scales;
};

/// Starts the copies of a tile's steps. One thread. A stage is free when the warps of both blocks have left it, since
/// each block writes to both.
template <class S>
__device__ __forceinline__ void produce(const Shared<S>& shared, Turn<S::kStages>& turn, const Maps& maps,
                                        const Origin& at, int steps) {
  constexpr std::uint16_t kBoth = (1 << kCluster) - 1;
  constexpr int kBoxBytes = kBoxOuter * kRowBytes;  // in either order: across the reduction kBlockK is 64, too
  static_assert(S::kA == Order::reduction || S::kBlockK == kBoxOuter);
  const int rank = static_cast<int>(ptx::cluster_ctarank());
  const int a_outer = at.a_outer + rank * kBoxOuter;
  for (int step = 0; step < steps; ++step, turn.next()) {
    const std::uint32_t full = shared.full + 8 * turn.stage;
    ptx::mbarrier_wait_cluster(shared.empty + 8 * turn.stage, turn.parity ^ 1);
    ptx::mbarrier_arrive_expect_tx(full, S::kCopyBytes);
    const int reduction = at.reduction + step * S::kBlockK;
    const std::uint32_t a = shared.a(turn.stage) + rank * kBoxBytes;
    const std::uint32_t b = shared.b(turn.stage);
    if constexpr (S::kA == Order::reduction)
      ptx::cp_async_bulk_tensor_2d_multicast(a, maps.a, reduction, a_outer, full, kBoth);
    else
      ptx::cp_async_bulk_tensor_2d_multicast(a, maps.a, a_outer, reduction, full, kBoth);
    if constexpr (S::kScales == Scales::rows) {
      for (int half = 0; half < 2; ++half)
        ptx::cp_async_bulk_tensor_4d(b + half * S::kBBytes / 2, maps.b, reduction, 2 * half, 0, at.b_outer / 16, full);
    } else if constexpr (S::kB == Order::reduction) {
      ptx::cp_async_bulk_tensor_3d(b, maps.b, reduction, at.b_outer, at.b_batch, full);
    } else {
      for (int i = 0; i < S::kBlockN / kBoxOuter; ++i)
        ptx::cp_async_bulk_tensor_3d(b + i * kBoxBytes, maps.b, at.b_outer + i * kBoxOuter, reduction, at.b_batch,
                                     full);
    }
    if constexpr (S::kScales != Scales::none)
      ptx::cp_async_bulk_tensor_2d(shared.a_scales(turn.stage), maps.a_scales, at.a_outer, reduction / kScaleBlock,
                                   full);
    if constexpr (S::kScales == Scales::rows)
      ptx::cp_async_bulk_tensor_2d(shared.b_scales(turn.stage), maps.b_scales, at.b_outer, reduction / kScaleBlock,
                                   full);
  }
}

/// What a thread of the multiplying warpgroups holds of the tile: rows row() and row() + 8, columns 8 i + column() +
/// 0, 1. With scales of both operands' rows (fours_map): columns 16 i + 2 column() + 0..3, two each in c[4 i] and in
/// c[4 i + kBlockN / 4], so that scales and results are read and written by fours.
template <class S>
struct Accumulator {
  float c[S::kBlockN / 2];

  __device__ __forceinline__ static int warpgroup() { return static_cast<int>(threadIdx.x) / 128; }
  __device__ __forceinline__ static int row() {
    return static_cast<int>(threadIdx.x) / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4;
  }
  __device__ __forceinline__ static int column() { return static_cast<int>(threadIdx.x) % 4 * 2; }
};

/// The warpgroup's product of a stage, started and committed.
template <class S>
__device__ __forceinline__ void multiply_stage(const Shared<S>& shared, int stage, float (&c)[S::kBlockN / 2],
                                               bool adds) {
  constexpr int kInstructions = kRowBytes / 32;  // a wgmma takes 32 bytes along the reduction
  // Across the reduction an instruction takes kBlockK / kInstructions rows of 128 bytes.
  constexpr int kAcross = S::kBlockK / kInstructions * kRowBytes;
  constexpr int kBoxBytes = S::kBlockK * kRowBytes;
  constexpr int kStepA = S::kA == Order::reduction ? 32 : kAcross;
  constexpr int kStepB = S::kB == Order::reduction ? 32 : kAcross;
  constexpr int kGroupBytes = S::kA == Order::reduction ? 64 * kRowBytes : kBoxBytes;
  const std::uint64_t a =
      ptx::matrix_descriptor(shared.a(stage) + Accumulator<S>::warpgroup() * kGroupBytes, kBoxBytes);
  const std::uint64_t b = ptx::matrix_descriptor(shared.b(stage), kBoxBytes);
  ptx::wgmma_fence();
#pragma unroll
  for (int i = 0; i < kInstructions; ++i)
    ptx::wgmma<S::kA, S::kB>(typename S::Element{}, c, a + i * kStepA / 16, b + i * kStepB / 16, adds || i != 0);
  ptx::wgmma_commit_group();
}

/// Gives a stage back to the producers of both blocks.
__device__ __forceinline__ void release(std::uint32_t empty) {
  __syncwarp();
  const std::uint32_t lane = threadIdx.x % 32;
  if (lane < kCluster) ptx::mbarrier_arrive_cluster(ptx::mapa(empty, lane));
}

/// Rows of the reduction that do not belong to the tile become zeros, in operands that lie across it. All consumers.
template <class S>
__device__ __forceinline__ void clear_rows(const Shared<S>& shared, int stage, int first) {
  constexpr int kBoxes = (S::kABytes + S::kBBytes) / (S::kBlockK * kRowBytes);
  const int chunks = (S::kBlockK - first) * kRowBytes / 16;  // of a box
  for (int i = static_cast<int>(threadIdx.x); i < kBoxes * chunks; i += kConsumers) {
    const std::uint32_t at =
        shared.a(stage) + i / chunks * S::kBlockK * kRowBytes + first * kRowBytes + i % chunks * 16;
    asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(at), "r"(0) : "memory");
  }
  ptx::fence_proxy_async();
  ptx::barrier_sync<kZeroBarrier, kConsumers>();
}

/// bf16: the products of all steps in one accumulator, one step in flight while the next is started. `valid`: rows of
/// the last step that belong to the tile (kBlockK: all).
template <class S>
__device__ __forceinline__ void consume(const Shared<S>& shared, Turn<S::kStages>& turn, Accumulator<S>& acc, int steps,
                                        int valid) {
#pragma unroll
  for (float& c : acc.c) c = 0;
  std::uint32_t before = 0;
  for (int step = 0; step < steps; ++step, turn.next()) {
    ptx::mbarrier_wait(shared.full + 8 * turn.stage, turn.parity);
    if constexpr (S::kA == Order::outer)
      if (step == steps - 1 && valid != S::kBlockK) clear_rows(shared, turn.stage, valid);
    multiply_stage(shared, turn.stage, acc.c, true);
    ptx::wgmma_wait_group<1>();
    if (step != 0) release(before);
    before = shared.empty + 8 * turn.stage;
  }
  ptx::wgmma_wait_group<0>();
  ptx::hold(acc.c);
  if (steps != 0) release(before);
}

__device__ __forceinline__ float load_shared(std::uint32_t at) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(at) : "memory");
  return value;
}
__device__ __forceinline__ float4 load_shared4(std::uint32_t at) {
  float4 value;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
               : "r"(at)
               : "memory");
  return value;
}

/// acc += row scales x column scales x c, for the four elements from `at` on.
template <int kCount>
__device__ __forceinline__ void add_scaled(float (&acc)[kCount], const float (&c)[kCount], int at, float low,
                                           float high, float first, float second) {
  acc[at] += low * first * c[at];
  acc[at + 1] += low * second * c[at + 1];
  acc[at + 2] += high * first * c[at + 2];
  acc[at + 3] += high * second * c[at + 3];
}

/// Scales of b at 128 x 128 for a tile's columns: those of the tile's first block of 128 columns and of the next.
struct BlockScales {
  const float *first = nullptr, *second = nullptr;  // [steps]
  bool is_split_early = false;                      // the second begins at column 64 of the tile, else at 128
};

/// fp8: each step's product, one 128 of the reduction, is scaled and added in fp32 (DeepSeek-V3, arXiv 2412.19437,
/// section 3.3.2), since the tensor core keeps fewer digits.
template <class S>
__device__ __forceinline__ void consume_scaled(const Shared<S>& shared, Turn<S::kStages>& turn, Accumulator<S>& acc,
                                               int steps, const BlockScales& scales) {
#pragma unroll
  for (float& c : acc.c) c = 0;
  float c[S::kBlockN / 2];
  float next_first = 0;
  float next_second = 0;
  const auto fetch = [&](int step) {
    if (S::kScales != Scales::block || step >= steps) return;
    next_first = __ldg(scales.first + step);
    next_second = __ldg(scales.second + step);
  };
  fetch(0);
  const std::uint32_t row = 4 * Accumulator<S>::row();
  for (int step = 0; step < steps; ++step, turn.next()) {
    ptx::mbarrier_wait(shared.full + 8 * turn.stage, turn.parity);
    const float low = load_shared(shared.a_scales(turn.stage) + row);
    const float high = load_shared(shared.a_scales(turn.stage) + row + 32);
    multiply_stage(shared, turn.stage, c, false);
    const float first = next_first;
    const float second = next_second;
    fetch(step + 1);
    ptx::wgmma_wait_group<0>();
    ptx::hold(c);
    if constexpr (S::kScales == Scales::block) {
      release(shared.empty + 8 * turn.stage);
      const float middle = scales.is_split_early ? second : first;
#pragma unroll
      for (int i = 0; i < S::kBlockN / 8; ++i) {
        const float b = i < 8 ? first : (i < 16 ? middle : second);
        add_scaled(acc.c, c, 4 * i, low, high, b, b);
      }
    } else {
#pragma unroll
      for (int i = 0; i < S::kBlockN / 16; ++i) {
        const float4 b = load_shared4(shared.b_scales(turn.stage) + 4 * (16 * i + 2 * Accumulator<S>::column()));
        add_scaled(acc.c, c, 4 * i, low, high, b.x, b.y);
        add_scaled(acc.c, c, 4 * i + S::kBlockN / 4, low, high, b.z, b.w);
      }
      release(shared.empty + 8 * turn.stage);
    }
  }
}

/// bf16 rows by way of shared memory, so that a warp writes whole lines. Columns: a multiple of 8.
template <class S>
__device__ __forceinline__ void store(const Shared<S>& shared, const Accumulator<S>& acc,
                                      const Output<__nv_bfloat16>& out) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  store_rows<S::kBlockN>(shared.staging + warp * kStagingBytes, acc.c,
                         {out.data + row_offset(warp * 16, out.stride), out.stride, out.rows - warp * 16, out.columns});
}

/// fp32, added to what is there or not. Columns: a multiple of 2, with scales of both operands' rows of 16.
template <class S>
__device__ __forceinline__ void store(const Accumulator<S>& acc, const Output<float>& out, bool adds) {
  if constexpr (S::kScales == Scales::rows) {
#pragma unroll
    for (int i = 0; i < S::kBlockN / 8; ++i) {
      const int row = Accumulator<S>::row() + i % 2 * 8;
      const int column = i / 2 * 16 + 2 * Accumulator<S>::column();
      if (row >= out.rows || column >= out.columns) continue;
      const float* c = acc.c + 2 * i;
      auto* to = reinterpret_cast<float4*>(out.data + row_offset(row, out.stride) + column);
      const float4 before = adds ? *to : make_float4(0, 0, 0, 0);
      *to =
          make_float4(before.x + c[0], before.y + c[1], before.z + c[S::kBlockN / 4], before.w + c[S::kBlockN / 4 + 1]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < S::kBlockN / 4; ++i) {
      const int row = Accumulator<S>::row() + i % 2 * 8;
      const int column = i / 2 * 8 + Accumulator<S>::column();
      if (row >= out.rows || column >= out.columns) continue;
      auto* to = reinterpret_cast<float2*>(out.data + row_offset(row, out.stride) + column);
      const float2 before = adds ? *to : make_float2(0, 0);
      *to = make_float2(before.x + acc.c[2 * i], before.y + acc.c[2 * i + 1]);
    }
  }
}

/// Splits a block's threads: `produce` is called by one thread, `consume` by those that multiply.
template <class Produce, class Consume>
__device__ __forceinline__ void specialise(Produce produce_tiles, Consume consume_tiles) {
  if (threadIdx.x >= kConsumers) {
    ptx::setmaxnreg_dec<kProducerRegisters>();
    if (threadIdx.x < kConsumers + 32 && ptx::elect()) produce_tiles();
    __syncwarp();
  } else {
    ptx::setmaxnreg_inc<kConsumerRegisters>();
    consume_tiles();
  }
  // The other block may still write here and count on these barriers.
  ptx::barrier_cluster_arrive();
  ptx::barrier_cluster_wait();
}

}  // namespace traincost::kernels::gemm_sm90
