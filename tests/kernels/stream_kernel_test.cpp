#include <numeric>

#include <kernels/common/random.hpp>
#include <kernels/stream/stream.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::stream {
namespace {

INSTANTIATE_TEST_SUITE_P(Stream, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

constexpr std::int64_t kVectors[] = {0, 1, 3, 255, 256, 257, 1023, 1024, 1025, 5000};  // of 16 bytes

TEST_P(Schedules, ACopyIsExact) {
  for (const auto vectors : kVectors) {
    const auto x = random_floats(static_cast<std::size_t>(vectors) * 4, -1, 1, 1);
    const DeviceBuffer<float> in(x), out(x.size());
    launch(CopyParams{vectors * 16, in.data(), out.data()}, nullptr);
    finish();
    expect_written(out);
    EXPECT_EQ(out.to_host(), x) << vectors;
  }
}

TEST_P(Schedules, ATriadIsThatOfTheReference) {
  for (const auto vectors : kVectors) {
    const auto b = random_floats(static_cast<std::size_t>(vectors) * 4, -1, 1, 1);
    const auto c = random_floats(b.size(), -1, 1, 2);
    const DeviceBuffer<float> device_b(b), device_c(c), a(b.size());
    launch(TriadParams{vectors * 4, 0.4F, device_b.data(), device_c.data(), a.data()}, nullptr);
    finish();
    expect_written(a);
    std::vector<float> want(b.size());
    reference(TriadParams{vectors * 4, 0.4F, b.data(), c.data(), want.data()});
    EXPECT_EQ(a.to_host(), want) << vectors;
  }
}

TEST_P(Schedules, EveryBlockIsLaunched) {
  for (const int blocks : {1, 2, 100}) {
    const DeviceBuffer<int> mark(static_cast<std::size_t>(blocks));
    launch(LaunchParams{blocks, mark.data()}, nullptr);
    finish();
    std::vector<int> want(mark.size());
    reference(LaunchParams{blocks, want.data()});
    EXPECT_EQ(mark.to_host(), want);
  }
}

TEST_P(Schedules, MovesExactlyWhatItMust) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const auto x = random_floats(1 << 16, -1, 1, 1);
  const DeviceBuffer<float> in(x), out(x.size());
  ptx::reset_counters();
  launch(CopyParams{static_cast<std::int64_t>(out.bytes()), in.data(), out.data()}, nullptr);
  finish();
  EXPECT_EQ(sector_bytes(), 2.0 * static_cast<double>(out.bytes()));
}

TEST(StreamParams, BadSizesAreNamed) {
  EXPECT_THROW(launch(CopyParams{.bytes = 24}, nullptr), InputError);
  EXPECT_THROW(launch(TriadParams{.count = 6}, nullptr), InputError);
  EXPECT_THROW(launch(LaunchParams{.blocks = 0}, nullptr), InputError);
}

}  // namespace
}  // namespace traincost::kernels::stream
