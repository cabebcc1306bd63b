#include <gtest/gtest.h>

#include <algorithm>

#include <bench/sampling.hpp>
#include <bench/statistics.hpp>
#include <support/fake_probe.hpp>

namespace traincost::bench {
namespace {
using test::FakeClock;
using test::FakeProbe;
using test::kClock;
using test::Script;
using test::steady;

Sampling take(const Script& script, const Rule& rule, FakeClock& clock) {
  FakeProbe probe(clock, script);
  return take_samples(probe, rule);
}

TEST(Statistics, QuantilesLieBetweenOrderStatistics) {
  EXPECT_EQ(quantile({}, 0.5), 0);
  EXPECT_EQ(quantile({3}, 0.95), 3);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_EQ(quantile({1, 2, 3, 4, 5}, 0.25), 2);
  EXPECT_DOUBLE_EQ(quantile({0, 10}, 0.95), 9.5);
}

TEST(Statistics, RelativeDeviationIsThatOfTheSample) {
  EXPECT_TRUE(std::isinf(relative_deviation({1})));
  EXPECT_EQ(relative_deviation({2, 2, 2}), 0);
  EXPECT_DOUBLE_EQ(relative_deviation({1, 3}), std::sqrt(2.0) / 2);
}

TEST(Sampling, StopsAtTheLeastCountWhenSamplesAgree) {
  FakeClock clock;
  const auto s = take(steady(1e-3, 0.005), {}, clock);
  EXPECT_EQ(s.seconds.size(), 10U);
  EXPECT_TRUE(s.is_settled);
  EXPECT_FALSE(s.is_throttled);
  EXPECT_EQ(s.sm_clock_hz, kClock);
  EXPECT_DOUBLE_EQ(quantile(s.seconds, 0.5), 1e-3);
}

TEST(Sampling, NoiseGoesOnUntilTheTimeIsOver) {
  FakeClock clock;
  const auto s = take(steady(0.1, 0.1), {.time_limit = {5}}, clock);
  EXPECT_FALSE(s.is_settled);
  EXPECT_NEAR(static_cast<double>(s.seconds.size()), 47, 1);  // three were warm-up
  EXPECT_NEAR(clock.time.value, 5, 0.2);
}

TEST(Sampling, NoiseThatSettlesLaterStopsThen) {
  FakeClock clock;
  const Script script{[](std::size_t i) {
    return Sample{{i == 3 ? 1.05e-3 : 1e-3}, kClock};
  }};  // the first that counts
  const auto s = take(script, {}, clock);
  EXPECT_TRUE(s.is_settled);
  EXPECT_EQ(s.seconds.size(), 100U);  // 5 % off at 1 of n: 0.05 / sqrt(n) / (1 + 0.05 / n) < 0.005
}

TEST(Sampling, ALaunchOfSecondsEndsWithFewSamples) {
  FakeClock clock;
  const auto s = take(steady(4, 0.1), {.time_limit = {2}}, clock);
  EXPECT_EQ(s.seconds.size(), 2U);  // 12 s of warm-up, then two of 4 s pass the ten times 2 s
}

TEST(Sampling, TheCountIsBounded) {
  FakeClock clock;
  EXPECT_EQ(take(steady(2e-6, 0.2), {}, clock).seconds.size(), Rule{}.max_samples);
}

TEST(Sampling, ThrottledSamplesAreDiscardedAndTheCardRestsLonger) {
  FakeClock clock;
  const Script script{[](std::size_t i) {
    const bool is_slow = i >= 5 && i < 9;
    return Sample{{is_slow ? 2e-3 : 1e-3}, is_slow ? 0.7 * kClock : kClock};
  }};
  const auto s = take(script, {}, clock);
  EXPECT_EQ(s.seconds, std::vector<double>(10, 1e-3));
  EXPECT_EQ(s.discarded, 4U);
  EXPECT_FALSE(s.is_throttled);
  ASSERT_EQ(clock.rests.size(), 4U);
  EXPECT_DOUBLE_EQ(clock.rests[0], 0.05);
  EXPECT_DOUBLE_EQ(clock.rests[3], 0.05 * 1.5 * 1.5 * 1.5);
}

TEST(Sampling, AWobbleOfTheBoostIsNoThrottling) {
  FakeClock clock;
  const Script script{[](std::size_t i) { return Sample{{1e-3}, i % 2 == 0 ? kClock : 0.9 * kClock}; }};
  EXPECT_EQ(take(script, {}, clock).discarded, 0U);
}

TEST(Sampling, WithoutAClockNothingIsDiscarded) {
  FakeClock clock;
  const auto s = take({[](std::size_t) { return Sample{{1e-3}, {}}; }}, {}, clock);
  EXPECT_EQ(s.discarded, 0U);
  EXPECT_FALSE(s.sm_clock_hz);
}

TEST(Sampling, ACardThatStaysSlowIsReportedAndNotWaitedForEver) {
  FakeClock clock;
  // Fast long enough to hold the median, then slow for good.
  const Script script{[](std::size_t i) {
    return Sample{{i < 100 ? (i % 2 == 0 ? 1e-3 : 1.1e-3) : 2e-3}, i < 100 ? kClock : 0.6 * kClock};
  }};
  const auto s = take(script, {.max_samples = 120, .time_limit = {1000}}, clock);
  EXPECT_EQ(s.discarded, 30U);
  EXPECT_TRUE(s.is_throttled);
  EXPECT_EQ(s.seconds.size(), 120U);
  EXPECT_EQ(s.seconds.back(), 2e-3) << "the data are there, not a NaN";
  EXPECT_LE(*std::ranges::max_element(clock.rests), 1);
}

}  // namespace
}  // namespace traincost::bench
