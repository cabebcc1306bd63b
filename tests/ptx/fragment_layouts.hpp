#pragma once

#include <array>
#include <cstddef>

// How the elements of an mma.sync tile lie in the registers of a warp: layouts (thread, value) -> index as CuTe writes
// them, shape : stride, the index counting down the columns of A [m, k], B [n, k], C [m, n]. Figures of CUTLASS 4.2
// (include/cute/atom/mma_traits_sm80.hpp, mma_traits_sm89.hpp); ptx_cute_test.cpp compares them with the headers
// themselves.
namespace ptx::test {

struct Mode {
  std::size_t shape = 1, stride = 0;
};

struct Layout {
  std::array<Mode, 2> thread;
  std::array<Mode, 3> value;

  [[nodiscard]] constexpr std::size_t values() const { return value[0].shape * value[1].shape * value[2].shape; }
  [[nodiscard]] constexpr std::size_t operator()(std::size_t t, std::size_t v) const {
    std::size_t index = 0;
    for (const Mode& mode : thread) {
      index += t % mode.shape * mode.stride;
      t /= mode.shape;
    }
    for (const Mode& mode : value) {
      index += v % mode.shape * mode.stride;
      v /= mode.shape;
    }
    return index;
  }
};

struct Fragments {
  std::size_t k;
  Layout a, b, c;
};

inline constexpr Layout kC16x8{{{{4, 32}, {8, 1}}}, {{{2, 16}, {2, 8}}}};

inline constexpr Fragments kM16N8K16{.k = 16,
                                     .a = {{{{4, 32}, {8, 1}}}, {{{2, 16}, {2, 8}, {2, 128}}}},
                                     .b = {{{{4, 16}, {8, 1}}}, {{{2, 8}, {2, 64}}}},
                                     .c = kC16x8};
inline constexpr Fragments kM16N8K8{
    .k = 8, .a = {{{{4, 32}, {8, 1}}}, {{{2, 16}, {2, 8}}}}, .b = {{{{4, 16}, {8, 1}}}, {{{2, 8}}}}, .c = kC16x8};
inline constexpr Fragments kM16N8K32{.k = 32,
                                     .a = {{{{4, 64}, {8, 1}}}, {{{4, 16}, {2, 8}, {2, 256}}}},
                                     .b = {{{{4, 32}, {8, 1}}}, {{{4, 8}, {2, 128}}}},
                                     .c = kC16x8};

}  // namespace ptx::test
