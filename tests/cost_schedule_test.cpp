#include <gtest/gtest.h>

#include <cmath>

#include <traincost/cost/schedule.hpp>

namespace traincost::cost {
namespace {

constexpr ChunkTimes kChunk{
    .forward = {1.0}, .input_grad = {1.25}, .weight_grad = {0.75}, .forward_and_backward = {3.0}};
constexpr double kForward = 1.0, kBackward = 2.0, kInput = 1.25, kWeight = 0.75, kPair = 3.0;

std::vector<std::vector<ChunkTimes>> uniform(int stages, int chunks, ChunkTimes chunk = kChunk) {
  return std::vector(stages, std::vector<ChunkTimes>(chunks, chunk));
}

double makespan(Schedule schedule, int stages, int chunks, int micro_batches, double send = 0) {
  return simulate(
             {.schedule = schedule, .stages = stages, .chunks = chunks, .micro_batches = micro_batches, .send = {send}},
             uniform(stages, chunks))
      .makespan.value;
}

TEST(Schedule, OneStageHasNoBubble) {
  const auto t = simulate({.micro_batches = 7}, uniform(1, 1));
  EXPECT_DOUBLE_EQ(t.makespan.value, 7 * (kForward + kBackward));
  EXPECT_NEAR(t.bubble.value, 0, 1e-12);
}

TEST(Schedule, OneForwardOneBackwardHasTheKnownBubble) {
  for (const int stages : {2, 3, 4, 8, 16})
    for (const int micro_batches : {1, 2, 5, 16, 100, 1000})
      EXPECT_NEAR(makespan(Schedule::one_f_one_b, stages, 1, micro_batches),
                  (micro_batches + stages - 1) * (kForward + kBackward), 1e-9)
          << stages << " stages, " << micro_batches << " micro-batches";
}

// Narayanan et al., arXiv 2104.04473, section 2.2.2: the bubble shrinks by the number of chunks.
TEST(Schedule, InterleavingDividesTheBubble) {
  for (const int stages : {2, 4, 8})
    for (const int chunks : {2, 3, 6})
      for (const int groups : {2, 4, 20}) {
        const int m = stages * groups;
        EXPECT_NEAR(makespan(Schedule::interleaved, stages, chunks, m),
                    (m * chunks + stages - 1) * (kForward + kBackward), 1e-9)
            << stages << " x " << chunks << ", " << m;
      }
}

// Qi et al., arXiv 2401.10241, table 2, ZB-H1: (p - 1)(F + B - W).
TEST(Schedule, ZeroBubbleFillsGapsWithWeightGradients) {
  for (const int stages : {2, 4, 8})
    for (const int m : {2 * stages, 8 * stages, 100 * stages})
      EXPECT_NEAR(makespan(Schedule::zero_bubble, stages, 1, m),
                  m * (kForward + kBackward) + (stages - 1) * (kForward + kInput - kWeight), 1e-9)
          << stages << " stages, " << m;
}

// DeepSeek-V3, arXiv 2412.19437, table 2: (p / 2 - 1)(F&B + B - 3 W), B the whole backward.
TEST(Schedule, DualPipeHasTheBubbleOfItsPaper) {
  for (const int stages : {4, 8, 16})
    for (const int m : {2 * stages, 4 * stages, 20 * stages}) {
      const auto t =
          simulate({.schedule = Schedule::dual_pipe, .stages = stages, .micro_batches = m}, uniform(stages, 1));
      EXPECT_NEAR(t.bubble.value, (stages / 2.0 - 1) * (kPair + kBackward - 3 * kWeight), 1e-9)
          << stages << " stages, " << m;
      const double work = t.forward.value + t.input_grad.value + t.weight_grad.value + t.forward_and_backward.value;
      EXPECT_NEAR(work, m * (kForward + kBackward), 1e-6) << "every micro-batch runs forward and backward once";
      EXPECT_NEAR(t.makespan.value, work + t.bubble.value, 1e-6);
    }
}

TEST(Schedule, DualPipeHidesWhatAPairOverlaps) {
  ChunkTimes chunk = kChunk;
  const auto run = [&] {
    return simulate({.schedule = Schedule::dual_pipe, .stages = 8, .micro_batches = 64}, uniform(8, 1, chunk)).makespan;
  };
  const auto apart = run();
  chunk.forward_and_backward = {2.0};
  EXPECT_LT(run(), apart);
}

TEST(Schedule, LongRunsAreContinuedExactly) {
  auto uneven = uniform(4, 2);
  uneven[3][1].forward = {1.9};  // the head
  const auto at = [&](int m) {
    return simulate({.schedule = Schedule::interleaved, .stages = 4, .chunks = 2, .micro_batches = m}, uneven)
        .makespan.value;
  };
  // 24 and 32 are simulated whole, 400 is continued; one stage in steady state sets the pace.
  EXPECT_NEAR((at(400) - at(32)) / (400 - 32), (at(32) - at(24)) / 8, 1e-6);
}

TEST(Schedule, TheSlowestStageSetsThePace) {
  auto times = uniform(4, 1);
  times[2][0].forward = {2.0};
  const auto t = simulate({.stages = 4, .micro_batches = 64}, times);
  EXPECT_EQ(t.stage, 2);
  EXPECT_GE(t.makespan.value, 64 * (2.0 + kBackward));
}

TEST(Schedule, NoProgramDeadlocksAndSendingNeverSaves) {
  for (const auto schedule : {Schedule::one_f_one_b, Schedule::interleaved, Schedule::zero_bubble, Schedule::dual_pipe})
    for (const int stages : {1, 2, 3, 4, 7, 16})
      for (const int m : {1, 2, 3, 5, 8, 17, 33, 61}) {
        const int chunks = schedule == Schedule::interleaved ? 3 : 1;
        const double free = makespan(schedule, stages, chunks, m), paid = makespan(schedule, stages, chunks, m, 0.1);
        EXPECT_TRUE(std::isfinite(free)) << static_cast<int>(schedule) << " " << stages << " " << m;
        EXPECT_GE(paid, free - 1e-9);
        EXPECT_GE(free, m * chunks * (kForward + kBackward) - 1e-9) << "less time than work";
      }
}

}  // namespace
}  // namespace traincost::cost
