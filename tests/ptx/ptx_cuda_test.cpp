#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>

#include "device_array.hpp"
#include "ptx/ptx.hpp"
#include "ptx_cuda_kernels.hpp"

// Whole kernels through the ordinary CUDA runtime API, under every schedule.
namespace ptx::test {
namespace {

class Schedules : public testing::TestWithParam<Options> {
 protected:
  void SetUp() override {
    set_options(GetParam());
    reset_counters();
  }
  static void finish() {
    check(cudaGetLastError());
    check(cudaDeviceSynchronize());
  }
};
std::string order_name(const testing::TestParamInfo<Options>& info) {
  static constexpr std::array kNames{"forward", "reverse", "random"};
  return kNames.at(static_cast<std::size_t>(info.param.order));
}
INSTANTIATE_TEST_SUITE_P(All, Schedules, testing::ValuesIn(schedules()), order_name);

std::vector<float> numbers(std::size_t count) {
  std::mt19937 random(1);
  std::vector<float> out(count);
  for (float& value : out) value = std::uniform_real_distribution<float>(0, 1)(random);
  return out;
}

TEST_P(Schedules, Add) {
  const int n = 1000;
  const auto a = numbers(n), b = numbers(n);
  const DeviceArray<float> da(a), db(b), out(n);
  launch_add(da.data(), db.data(), out.data(), n, nullptr);
  finish();
  const auto result = out.host();
  for (int i = 0; i < n; ++i) ASSERT_EQ(result[i], std::fma(b[i], static_cast<float>(1 + i % 4), a[i])) << i;
  if (!executing()) return;
  const Counters seen = counters();
  EXPECT_EQ(seen.global_loads.bytes, 2U * n * 4);
  EXPECT_EQ(seen.global_loads.sectors, 2U * n * 4 / 32);
  EXPECT_EQ(seen.global_stores.distinct_sectors, 1U * n * 4 / 32);
  EXPECT_EQ(unwritten(out.data(), out.bytes()), 0U);
}

TEST_P(Schedules, Sum) {
  const auto in = numbers(5000);
  const DeviceArray<float> din(in), out(1);
  launch_sum(din.data(), out.data(), static_cast<int>(in.size()), nullptr);
  finish();
  EXPECT_NEAR(out.host()[0], std::accumulate(in.begin(), in.end(), 0.0), 1e-2);
}

TEST_P(Schedules, Histogram) {
  const int n = 1000, bins = 37, before = read_visits();
  std::vector<int> keys(n), expected(bins);
  for (int i = 0; i < n; ++i) ++expected[keys[i] = i * i % bins];
  const DeviceArray<int> dkeys(keys), counts(std::vector<int>(bins, 0));
  launch_histogram(dkeys.data(), counts.data(), n, bins, nullptr);
  finish();
  EXPECT_EQ(counts.host(), expected);
  EXPECT_EQ(read_visits() - before, 8);
}

TEST_P(Schedules, FunctionsCallsAndLocalMemory) {
  const auto x = numbers(50);
  const DeviceArray<float> dx(x), out(x.size());
  launch_functions(dx.data(), out.data(), static_cast<int>(x.size()), nullptr);
  finish();
  const auto result = out.host();
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::array<float, 3> c{x[i], 1.0F, 0.5F};
    c[i % 3] += 1.0F;
    const float expected =
        std::exp(x[i]) + std::sin(x[i]) + std::tanh(x[i]) + std::log(x[i] + 2) + (c[2] * x[i] + c[1]) * x[i] + c[0];
    EXPECT_NEAR(result[i], expected, 3e-6) << i;
  }
}

TEST_P(Schedules, CubSortAndScan) {
  std::mt19937 random(2);
  std::vector<unsigned> keys(512);
  for (unsigned& key : keys) key = static_cast<unsigned>(random());
  const DeviceArray<unsigned> dkeys(keys), sorted(512);
  const DeviceArray<int> places(512), scanned(128);
  launch_sort(dkeys.data(), sorted.data(), places.data(), scanned.data(), nullptr);
  finish();
  const auto place = places.host();
  const auto result = sorted.host();
  for (int i = 0; i < 512; ++i) EXPECT_EQ(result[i], keys[static_cast<std::size_t>(place[i])]);
  EXPECT_TRUE(std::is_sorted(result.begin(), result.end()));
  for (int i = 0; i < 128; ++i) EXPECT_EQ(scanned.host()[i], i * (i - 1) / 2);
}

TEST_P(Schedules, VotesMatchesAndReductions) {
  std::vector<int> in(64);
  for (int i = 0; i < 64; ++i) in[i] = i * 7 % 11;
  const DeviceArray<int> din(in);
  const DeviceArray<unsigned> out(64);
  launch_vote(din.data(), out.data(), nullptr);
  finish();
  const auto result = out.host();
  const auto count = static_cast<unsigned>(std::count_if(in.begin(), in.end(), [](int v) { return v > 3; }));
  for (int i = 0; i < 64; ++i) {
    const int warp = i / 32 * 32, tile = i / 8 * 8;
    unsigned ballot = 0, same = 0, most = 0;
    for (int j = 0; j < 32; ++j) {
      ballot |= static_cast<unsigned>(in[warp + j] & 1) << j;
      same |= static_cast<unsigned>(in[warp + j] == in[i] ? 1 : 0) << j;
      most = std::max(most, static_cast<unsigned>(in[warp + j]));
    }
    const auto tile_sum = static_cast<unsigned>(std::accumulate(&in[tile], &in[tile] + 8, 0));
    EXPECT_EQ(result[i], ballot ^ same ^ tile_sum << 8 ^ count << 20 ^ most << 28) << i;
  }
}

TEST_P(Schedules, AChainOfManyBlocks) {
  const std::size_t blocks = 300;
  const DeviceArray<int> in(std::vector<int>(blocks, 2)), sums(blocks);
  const DeviceArray<unsigned> ready(std::vector<unsigned>(blocks, 0));
  launch_chain(in.data(), sums.data(), ready.data(), static_cast<int>(blocks), nullptr);
  finish();
  EXPECT_EQ(sums.host()[blocks - 1], static_cast<int>(2 * blocks));
}

TEST_P(Schedules, BlocksThatWaitForOneAnother) {
  const std::size_t blocks = 20;
  const DeviceArray<unsigned> arrived(std::vector<unsigned>{0}), out(blocks * 64);
  launch_grid(arrived.data(), out.data(), static_cast<int>(blocks), nullptr);
  finish();
  EXPECT_EQ(out.host(), std::vector<unsigned>(blocks * 64, static_cast<unsigned>(blocks)));
}

}  // namespace
}  // namespace ptx::test
