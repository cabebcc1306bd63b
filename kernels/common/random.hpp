#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace traincost::kernels {

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same numbers everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// In [0, 1).
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24F; }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// In 0..count-1.
  int below(int count) { return static_cast<int>(next() % static_cast<std::uint64_t>(count)); }

 private:
  std::uint64_t state_;
};

inline std::vector<float> random_floats(std::size_t count, float low, float high, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& x : values) x = random.uniform(low, high);
  return values;
}

inline std::vector<__nv_bfloat16> random_bf16(std::size_t count, float low, float high, std::uint64_t seed) {
  Random random(seed);
  std::vector<__nv_bfloat16> values(count);
  for (auto& x : values) x = __float2bfloat16(random.uniform(low, high));
  return values;
}

/// e4m3 codes of every finite value.
inline std::vector<std::uint8_t> random_codes(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint8_t> codes(count);
  for (auto& code : codes) code = static_cast<std::uint8_t>(random.below(0x7f) | random.below(2) << 7);
  return codes;
}

}  // namespace traincost::kernels
