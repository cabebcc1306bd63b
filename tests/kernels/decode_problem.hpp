#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/common/decode_case.hpp>

/// What the tests of the decode kernels share: paged caches, and what comes out.
namespace traincost::kernels {

// Far outside of any cache: an entry of the block table that must not be used.
constexpr int kWildPage = 2147480000;

enum class Pages { in_order, shuffled };

/// Which physical page holds which part of which sequence. One page in three belongs to nobody.
struct Paging {
  int max_pages = 1;
  int pages = 0;           // of the cache
  std::vector<int> table;  // [b, max_pages]
};

inline Paging paging(const std::vector<int>& lengths, Pages order, std::uint64_t seed = 9) {
  Paging p;
  int used = 0;
  for (const int length : lengths) {
    const auto own = static_cast<int>(ceil_div(length, split_kv::kPageTokens));
    used += own;
    p.max_pages = std::max(p.max_pages, own + 1);
  }
  p.pages = used + used / 2 + 1;
  std::vector<int> physical(static_cast<std::size_t>(p.pages));
  std::iota(physical.begin(), physical.end(), 0);
  Random random(seed);
  for (int i = p.pages - 1; i > 0 && order == Pages::shuffled; --i)
    std::swap(physical[i], physical[random.below(i + 1)]);
  p.table.assign(lengths.size() * static_cast<std::size_t>(p.max_pages), kWildPage);
  int next = 0;
  for (std::size_t s = 0; s < lengths.size(); ++s)
    for (int page = 0; page < static_cast<int>(ceil_div(lengths[s], split_kv::kPageTokens)); ++page)
      p.table[s * static_cast<std::size_t>(p.max_pages) + page] = physical[next++];
  return p;
}

/// tokens [sum of lengths, width] in their pages; what no token fills is `filling`.
template <class T>
std::vector<T> paged(const std::vector<T>& tokens, int width, const std::vector<int>& lengths, const Paging& paging,
                     T filling) {
  std::vector<T> cache(static_cast<std::size_t>(paging.pages) * split_kv::kPageTokens * width, filling);
  std::int64_t from = 0;
  for (std::size_t s = 0; s < lengths.size(); ++s)
    for (int t = 0; t < lengths[s]; ++t, from += width) {
      const int page = paging.table[s * static_cast<std::size_t>(paging.max_pages) + t / split_kv::kPageTokens];
      const std::int64_t to = row_offset(row_offset(page, split_kv::kPageTokens) + t % split_kv::kPageTokens, width);
      std::copy_n(tokens.begin() + from, width, cache.begin() + to);
    }
  return cache;
}

inline std::int64_t total(const std::vector<int>& lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
}

/// What came out, and how many partial results the plan had.
struct DecodeOutputs {
  std::vector<__nv_bfloat16> out;
  std::vector<float> lse;
  int slots = 0;
};

constexpr double kLseTolerance = 2e-6;

inline void expect_near(const DecodeOutputs& got, const DecodeOutputs& expected, const Tolerance& tolerance,
                        double lse_tolerance) {
  const Deviation d = deviation(got.out, expected.out);
  EXPECT_TRUE(is_within(d, tolerance)) << "absolute " << d.absolute << ", relative " << d.relative << ", cosine "
                                       << d.cosine;
  EXPECT_LE(deviation(got.lse, expected.lse).absolute, lse_tolerance);
}

inline bool are_same(const DecodeOutputs& a, const DecodeOutputs& b) {
  return std::memcmp(a.out.data(), b.out.data(), a.out.size() * 2) == 0 &&
         std::memcmp(a.lse.data(), b.lse.data(), a.lse.size() * 4) == 0;
}

}  // namespace traincost::kernels
