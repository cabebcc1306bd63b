#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include <kernels/common/ptx.cuh>

/// Products of a warpgroup (PTX ISA 9.7.15): c[64, kColumns] (+)= a[64, k] b[k, kColumns], b in shared memory, a there
/// or in registers. Asynchronous: between wgmma_fence() and wgmma_wait_group() the accumulators and a's registers are
/// the hardware's.
namespace traincost::kernels::ptx {

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// Keeps the compiler from moving uses of the accumulators across a wait.
template <int kCount>
__device__ __forceinline__ void hold(float (&c)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(c[i])::"memory");
}

/// The same for fragments of a: written before the fence, not after it.
template <int kCount>
__device__ __forceinline__ void hold(std::uint32_t (&a)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(a[i])::"memory");
}

/// How an operand lies in shared memory: rows of the reduction, or its outer index along rows.
enum class Order : int { reduction = 0, outer = 1 };

/// A matrix whose rows of kRowBytes (the swizzle's span: 128 or 64; eight rows make an atom) begin at a multiple of an
/// atom. `leading` is only read with Order::outer: bytes from one column of kRowBytes of outer indices to the next.
template <int kRowBytes = 128>
__device__ __forceinline__ std::uint64_t matrix_descriptor(std::uint32_t shared, std::uint32_t leading) {
  static_assert(kRowBytes == 128 || kRowBytes == 64);
  constexpr std::uint64_t kSwizzle = std::uint64_t{kRowBytes == 128 ? 1 : 2} << 62;
  constexpr std::uint64_t kStride = std::uint64_t{8 * kRowBytes / 16} << 32;  // between atoms
  return kSwizzle | kStride | std::uint64_t{leading / 16} << 16 | (shared & 0x3ffffU) / 16;
}

struct E4m3 {};  // codes in bytes

// The lists of registers that the instruction takes.
#define TRAINCOST_WGMMA_NAMES_0              \
  "%0, %1, %2, %3, %4, %5, %6, %7, "         \
  "%8, %9, %10, %11, %12, %13, %14, %15, "   \
  "%16, %17, %18, %19, %20, %21, %22, %23, " \
  "%24, %25, %26, %27, %28, %29, %30, %31"
#define TRAINCOST_WGMMA_NAMES_48             \
  "%32, %33, %34, %35, %36, %37, %38, %39, " \
  "%40, %41, %42, %43, %44, %45, %46, %47"
#define TRAINCOST_WGMMA_NAMES_1              \
  "%32, %33, %34, %35, %36, %37, %38, %39, " \
  "%40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, " \
  "%56, %57, %58, %59, %60, %61, %62, %63"
#define TRAINCOST_WGMMA_NAMES_2              \
  "%64, %65, %66, %67, %68, %69, %70, %71, " \
  "%72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, " \
  "%88, %89, %90, %91, %92, %93, %94, %95"
#define TRAINCOST_WGMMA_NAMES_3                      \
  "%96, %97, %98, %99, %100, %101, %102, %103, "     \
  "%104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, " \
  "%120, %121, %122, %123, %124, %125, %126, %127"
#define TRAINCOST_WGMMA_C8(i)                                                                           \
  "+f"(c[i]), "+f"(c[(i) + 1]), "+f"(c[(i) + 2]), "+f"(c[(i) + 3]), "+f"(c[(i) + 4]), "+f"(c[(i) + 5]), \
      "+f"(c[(i) + 6]), "+f"(c[(i) + 7])
#define TRAINCOST_WGMMA_C32(i) \
  TRAINCOST_WGMMA_C8(i), TRAINCOST_WGMMA_C8((i) + 8), TRAINCOST_WGMMA_C8((i) + 16), TRAINCOST_WGMMA_C8((i) + 24)
// A, B, S: numbers of the operands behind the accumulators.
#define TRAINCOST_WGMMA(COLUMNS, NAMES, A, B, S, TA, TB, ...)                                                          \
  template <Order kA, Order kB>                                                                                        \
  __device__ __forceinline__ void wgmma(__nv_bfloat16, float(&c)[COLUMNS / 2], std::uint64_t a, std::uint64_t b,       \
                                        bool adds) {                                                                   \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #S ", 0; wgmma.mma_async.sync.aligned.m64n" #COLUMNS               \
                 "k16.f32.bf16.bf16 {" NAMES "}, %" #A ", %" #B ", p, 1, 1, %" #TA ", %" #TB "; }"                     \
                 : __VA_ARGS__                                                                                         \
                 : "l"(a), "l"(b), "r"(static_cast<int>(adds)), "n"(static_cast<int>(kA)), "n"(static_cast<int>(kB))); \
  }                                                                                                                    \
  template <Order kA, Order kB>                                                                                        \
  __device__ __forceinline__ void wgmma(E4m3, float(&c)[COLUMNS / 2], std::uint64_t a, std::uint64_t b, bool adds) {   \
    static_assert(kA == Order::reduction && kB == Order::reduction, "bytes are never transposed");                     \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #S ", 0; wgmma.mma_async.sync.aligned.m64n" #COLUMNS               \
                 "k32.f32.e4m3.e4m3 {" NAMES "}, %" #A ", %" #B ", p, 1, 1; }"                                         \
                 : __VA_ARGS__                                                                                         \
                 : "l"(a), "l"(b), "r"(static_cast<int>(adds)));                                                       \
  }

// a in registers, four of them: rows l / 4 and l / 4 + 8 of the warp's 16, then the same 8 further along the reduction.
#define TRAINCOST_WGMMA_REGISTERS(COLUMNS, NAMES, A0, A1, A2, A3, B, S, TB, ...)                                       \
  template <Order kB>                                                                                                  \
  __device__ __forceinline__ void wgmma(float(&c)[COLUMNS / 2], const std::uint32_t* a, std::uint64_t b, bool adds) {  \
    asm volatile(                                                                                                      \
        "{ .reg .pred p; setp.ne.b32 p, %" #S ", 0; wgmma.mma_async.sync.aligned.m64n" #COLUMNS                        \
        "k16.f32.bf16.bf16 {" NAMES "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B ", p, 1, 1, %" #TB "; }"       \
        : __VA_ARGS__                                                                                                  \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(adds)), "n"(static_cast<int>(kB))); \
  }

TRAINCOST_WGMMA(64, TRAINCOST_WGMMA_NAMES_0, 32, 33, 34, 35, 36, TRAINCOST_WGMMA_C32(0))
TRAINCOST_WGMMA(96, TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_48, 48, 49, 50, 51, 52, TRAINCOST_WGMMA_C32(0),
                TRAINCOST_WGMMA_C8(32), TRAINCOST_WGMMA_C8(40))
TRAINCOST_WGMMA(128, TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_1, 64, 65, 66, 67, 68, TRAINCOST_WGMMA_C32(0),
                TRAINCOST_WGMMA_C32(32))
TRAINCOST_WGMMA_REGISTERS(128, TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_1, 64, 65, 66, 67, 68, 69, 70,
                          TRAINCOST_WGMMA_C32(0), TRAINCOST_WGMMA_C32(32))
TRAINCOST_WGMMA_REGISTERS(192, TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_1 ", " TRAINCOST_WGMMA_NAMES_2, 96,
                          97, 98, 99, 100, 101, 102, TRAINCOST_WGMMA_C32(0), TRAINCOST_WGMMA_C32(32),
                          TRAINCOST_WGMMA_C32(64))
TRAINCOST_WGMMA(192, TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_1 ", " TRAINCOST_WGMMA_NAMES_2, 96, 97, 98, 99,
                100, TRAINCOST_WGMMA_C32(0), TRAINCOST_WGMMA_C32(32), TRAINCOST_WGMMA_C32(64))
TRAINCOST_WGMMA(256,
                TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_1 ", " TRAINCOST_WGMMA_NAMES_2
                                        ", " TRAINCOST_WGMMA_NAMES_3,
                128, 129, 130, 131, 132, TRAINCOST_WGMMA_C32(0), TRAINCOST_WGMMA_C32(32), TRAINCOST_WGMMA_C32(64),
                TRAINCOST_WGMMA_C32(96))
TRAINCOST_WGMMA_REGISTERS(256,
                          TRAINCOST_WGMMA_NAMES_0 ", " TRAINCOST_WGMMA_NAMES_1 ", " TRAINCOST_WGMMA_NAMES_2
                                                  ", " TRAINCOST_WGMMA_NAMES_3,
                          128, 129, 130, 131, 132, 133, 134, TRAINCOST_WGMMA_C32(0), TRAINCOST_WGMMA_C32(32),
                          TRAINCOST_WGMMA_C32(64), TRAINCOST_WGMMA_C32(96))

#undef TRAINCOST_WGMMA_REGISTERS
#undef TRAINCOST_WGMMA
#undef TRAINCOST_WGMMA_C32
#undef TRAINCOST_WGMMA_C8
#undef TRAINCOST_WGMMA_NAMES_3
#undef TRAINCOST_WGMMA_NAMES_2
#undef TRAINCOST_WGMMA_NAMES_1
#undef TRAINCOST_WGMMA_NAMES_48
#undef TRAINCOST_WGMMA_NAMES_0

}  // namespace traincost::kernels::ptx
