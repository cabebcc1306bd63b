#include <gtest/gtest.h>

#include <bench/sm_clock.hpp>

namespace traincost::bench {
namespace {

TEST(SmClock, IsTheMedianOfSmsThatStampedTwice) {
  const std::vector<Stamp> before{{0, 1000, 0}, {1, 900'000, 10}, {2, 5, 0}, {7, 0, 0}};
  // 1.7, 1.6 and 1.8 GHz over 100 us; SM 7 has no second stamp and SM 9 no first.
  const std::vector<Stamp> after{
      {1, 900'000 + 160'000, 100'010}, {0, 1000 + 170'000, 100'000}, {2, 5 + 180'000, 100'000}, {9, 1, 1}};
  EXPECT_DOUBLE_EQ(sm_clock_hz(before, after).value(), 1.7e9);
}

TEST(SmClock, IsUnknownOverAnIntervalThatTheTimerHardlyResolves) {
  EXPECT_FALSE(sm_clock_hz(std::vector<Stamp>{{0, 0, 0}}, std::vector<Stamp>{{0, 17'000, 10'000}}));
  EXPECT_FALSE(sm_clock_hz({}, {}));
}

}  // namespace
}  // namespace traincost::bench
