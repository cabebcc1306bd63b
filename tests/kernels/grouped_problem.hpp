#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/random.hpp>
#include <kernels/grouped_gemm/grouped_gemm.hpp>

/// What the tests of the grouped products share: shapes with every kind of tail, and their operands.
namespace traincost::kernels::grouped_gemm {

struct GroupedShape {
  std::vector<int> counts;
  int n, k;
  int alignment = 1;  // rows between experts are padding
};

// Empty experts, one row, ragged rows around the tile of 128, depths around the stage of 32 and the four stages.
inline const std::vector<GroupedShape> kShapes = {
    {{1}, 8, 8},
    {{0}, 16, 16},
    {{3}, 8, 32},
    {{16}, 128, 128},
    {{128}, 128, 32},
    {{129}, 16, 40},
    {{127}, 136, 24},
    {{0, 5, 0}, 24, 64},
    {{5, 0, 0, 7}, 64, 96},
    {{1, 1, 1, 1, 1}, 40, 104},
    {{2, 3, 5, 7, 11, 13}, 72, 56},
    {{130, 2}, 128, 160},
    {{64, 64}, 256, 128},
    {{17, 0, 200}, 264, 72},
    {{9, 31}, 120, 264},
    {{100, 28}, 8, 136, 128},
    {{5, 0, 140, 1}, 48, 88, 128},
    {{33, 66}, 128, 192, 64},
    {{255}, 32, 16},
    {{257}, 16, 48},
    {{0, 0, 0, 19}, 152, 168, 16},
    {{40, 41, 42}, 8, 8, 8},
    {std::vector<int>(230, 1), 8, 136},  // more tiles than blocks: a block's next tile reuses the stages
    {std::vector<int>(220, 2), 16, 24},
};

struct Problem {
  Shape shape;
  std::vector<int> first_row, counts;
  std::int64_t rows = 0;  // padding included
};

inline Problem problem(const GroupedShape& s) {
  Problem p;
  p.counts = s.counts;
  for (const int count : s.counts) {
    p.first_row.push_back(static_cast<int>(p.rows));
    p.rows += ceil_div(count, s.alignment) * s.alignment;
  }
  p.shape = {static_cast<int>(s.counts.size()), s.n, s.k, std::accumulate(s.counts.begin(), s.counts.end(), 0)};
  return p;
}

/// The masked layout: each expert at a multiple of the rows of the longest, and a few.
inline Problem masked(const GroupedShape& s) {
  GroupedShape aligned = s;
  aligned.alignment = std::max(*std::max_element(s.counts.begin(), s.counts.end()), 1) + 3;
  Problem p = problem(aligned);
  for (std::size_t e = 0; e < s.counts.size(); ++e) p.first_row[e] = static_cast<int>(e) * aligned.alignment;
  p.rows = static_cast<std::int64_t>(s.counts.size()) * aligned.alignment;
  return p;
}

enum class Values { integers, reals };

/// Small integers: every sum is exact in fp32 in any order, so results must agree to the bit.
inline std::vector<__nv_bfloat16> matrix(std::int64_t count, Values values, std::uint64_t seed) {
  if (values == Values::reals) return random_bf16(static_cast<std::size_t>(count), -1, 1, seed);
  Random random(seed);
  std::vector<__nv_bfloat16> m(static_cast<std::size_t>(count));
  for (auto& x : m) x = __float2bfloat16(static_cast<float>(random.below(7) - 3));
  return m;
}

/// Rows of the experts, NaN in the padding, which must not be read.
inline std::vector<__nv_bfloat16> rows(const Problem& p, int columns, Values values, std::uint64_t seed) {
  auto m = matrix(p.rows * columns, values, seed);
  std::vector<bool> is_owned(static_cast<std::size_t>(p.rows), false);
  for (std::size_t e = 0; e < p.counts.size(); ++e)
    for (int r = 0; r < p.counts[e]; ++r) is_owned[p.first_row[e] + r] = true;
  for (std::int64_t i = 0; i < p.rows * columns; ++i)
    if (!is_owned[i / columns]) m[i] = __float2bfloat16(std::numeric_limits<float>::quiet_NaN());
  return m;
}

inline std::vector<__nv_bfloat16> untouched(std::int64_t count) {
  return std::vector<__nv_bfloat16>(static_cast<std::size_t>(count), __float2bfloat16(-77));
}

template <class T>
struct Outputs {
  std::vector<T> got, want;
};

template <class T>
void expect_exact(const Outputs<T>& o) {
  ASSERT_EQ(deviation(o.got, o.want).absolute, 0);
}

inline testing::Message describe(const GroupedShape& s) {
  return testing::Message() << testing::PrintToString(s.counts) << " rows, n " << s.n << ", k " << s.k;
}

}  // namespace traincost::kernels::grouped_gemm
