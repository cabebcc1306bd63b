#include <gtest/gtest.h>

#include <numeric>

#include "device_array.hpp"
#include "fault_of.hpp"
#include "ptx/ptx.hpp"
#include "ptx_faults_kernels.hpp"

// A planted fault each: the executor must see it, under every schedule, and say where. These are tests of the tool.
namespace ptx::test {
namespace {

constexpr int kN = 300;

std::string run_reduction(Reduction fault, const Options& options, float* sum = nullptr) {
  std::vector<float> in(kN);
  std::iota(in.begin(), in.end(), 1.0F);
  const DeviceArray<float> din(in), out(1);
  std::string text = fault_of(options, [&] { launch_reduction(fault, din.data(), out.data(), kN, nullptr); });
  if (sum != nullptr) *sum = out.host()[0];
  return text;
}

// A race may also show as a read of memory that is not written yet: which comes first depends on the schedule.
Options only_races(Options options) {
  options.checks.uninitialised = false;
  return options;
}

struct Planted {
  Reduction fault;
  std::vector<std::string> says;
};

TEST(Faults, TheCorrectReductionIsClean) {
  for (const Options& schedule : schedules()) {
    float sum = 0;
    EXPECT_EQ(run_reduction(Reduction::kNone, schedule, &sum), "");
    EXPECT_EQ(sum, kN * (kN + 1) / 2);
  }
}

TEST(Faults, EachPlantedFaultIsSeenUnderEverySchedule) {
  const std::vector<Planted> rows{
      {Reduction::kNoRangeCheck,
       {"out of bounds", "global read of 4 bytes", "past the end of an allocation of 1200 bytes"}},
      {Reduction::kWritesPastEnd,
       {"out of bounds", "global write", "thread 0", "0 bytes past the end of an allocation of 4"}},
      {Reduction::kMisaligned, {"misaligned", "read of 16 bytes"}},
      {Reduction::kSharedPastEnd, {"out of bounds", "thread 127", "between two variables"}},
      {Reduction::kNoBarrierBefore, {"race"}},
      {Reduction::kNoBarrierInside, {"race"}},
      {Reduction::kNoWarpBarrier, {"race", "shared read", "write by thread"}},
      {Reduction::kReadsUnwrittenShared, {"uninitialised", "shared read"}},
      {Reduction::kBarrierAfterExit, {"deadlock", "threads 96-127 exited"}},
      {Reduction::kBarrierInBranch, {"deadlock"}},
      {Reduction::kBarrierTwice, {"deadlock"}},
      {Reduction::kShuffleInBranch, {"divergence"}},
      {Reduction::kWrongMask, {"divergence", "0x0000ffff"}},
      {Reduction::kTwoShuffles, {"divergence", "different instructions", "shfl.sync.down", "shfl.sync.bfly"}},
      {Reduction::kAssertion, {"assertion failed: t < 64", "thread"}},
      {Reduction::kSpinsForEver, {"spin for ever"}},
  };
  for (const Planted& row : rows) {
    for (Options schedule : schedules()) {
      schedule.max_warp_instructions = 1'000'000;
      const std::string text = run_reduction(row.fault, row.says[0] == "race" ? only_races(schedule) : schedule);
      for (const std::string& part : row.says) {
        EXPECT_NE(text.find(part), std::string::npos) << static_cast<int>(row.fault) << ": " << text;
      }
      EXPECT_NE(text.find("ptx_faults_kernels.cu:"), std::string::npos) << text;
    }
  }
}

TEST(Faults, ExitedThreadsMayCountAsArrived) {
  for (Options schedule : schedules()) {
    schedule.checks.exited_at_barrier = false;
    EXPECT_EQ(run_reduction(Reduction::kBarrierAfterExit, only_races(schedule)), "");
  }
}

TEST(Faults, OutputsThatNothingWrote) {
  const DeviceArray<float> in(std::vector<float>(kN, 1.0F)), out(2);
  launch_reduction(Reduction::kNothingStored, in.data(), out.data(), kN, nullptr);
  EXPECT_EQ(unwritten(out.data(), out.bytes()), 8U);
  launch_reduction(Reduction::kNone, in.data(), out.data(), kN, nullptr);
  EXPECT_EQ(unwritten(out.data(), out.bytes()), 4U);
  poison(out.data(), out.bytes());
  EXPECT_EQ(unwritten(out.data(), out.bytes()), 8U);
}

TEST(Faults, UninitialisedGlobalMemory) {
  const DeviceArray<float> in(kN), out(1);
  for (const Options& schedule : schedules()) {
    const std::string text =
        fault_of(schedule, [&] { launch_reduction(Reduction::kNone, in.data(), out.data(), kN, nullptr); });
    EXPECT_NE(text.find("uninitialised: global read"), std::string::npos) << text;
  }
}

TEST(Faults, FreedMemory) {
  float* freed = nullptr;
  {
    const DeviceArray<float> in(std::vector<float>(kN, 1.0F));
    freed = in.data();
  }
  const DeviceArray<float> out(1);
  const std::string text = fault_of({}, [&] { launch_reduction(Reduction::kNone, freed, out.data(), kN, nullptr); });
  EXPECT_NE(text.find("freed allocation"), std::string::npos) << text;
}

TEST(Faults, Histogram) {
  std::vector<int> keys(kN);
  for (int i = 0; i < kN; ++i) keys[static_cast<std::size_t>(i)] = i * i % 128;
  const DeviceArray<int> dkeys(keys), counts(128);
  for (const Options& schedule : schedules()) {
    auto run = [&](Histogram fault) {
      return fault_of(only_races(schedule),
                      [&] { launch_histogram_fault(fault, dkeys.data(), counts.data(), kN, nullptr); });
    };
    EXPECT_EQ(run(Histogram::kNone), "");
    for (const Histogram fault :
         {Histogram::kNoBarrierAfterZero, Histogram::kNoBarrierBeforeRead, Histogram::kNotAtomic}) {
      EXPECT_NE(run(fault).find("race"), std::string::npos) << static_cast<int>(fault);
    }
  }
}

class GemmFaults : public testing::Test {
 protected:
  static constexpr std::size_t kK = 80;
  GemmFaults() {
    for (std::size_t i = 0; i < 16 * kK; ++i) a[i] = __float2bfloat16(static_cast<float>(i * 7 % 23) - 11);
    for (std::size_t i = 0; i < 32 * kK; ++i) b[i] = __float2bfloat16(static_cast<float>(i * 5 % 19) - 9);
  }
  // Small integers: exact in fp32.
  [[nodiscard]] int wrong(const std::vector<float>& c) const {
    int count = 0;
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t j = 0; j < 32; ++j) {
        float sum = 0;
        for (std::size_t k = 0; k < kK; ++k) sum += __bfloat162float(a[i * kK + k]) * __bfloat162float(b[j * kK + k]);
        count += c[i * 32 + j] == sum ? 0 : 1;
      }
    }
    return count;
  }
  std::string run(Gemm fault, const Options& options, int* errors = nullptr) {
    const DeviceArray<__nv_bfloat16> da(a), db(b);
    const DeviceArray<float> c(std::size_t{16} * 32);
    std::string text =
        fault_of(options, [&] { launch_gemm(fault, da.data(), db.data(), c.data(), static_cast<int>(kK), nullptr); });
    if (errors != nullptr) *errors = wrong(c.host());
    return text;
  }
  std::vector<__nv_bfloat16> a = std::vector<__nv_bfloat16>(16 * kK);
  std::vector<__nv_bfloat16> b = std::vector<__nv_bfloat16>(32 * kK);
};

TEST_F(GemmFaults, TheCorrectOneIsCleanAndRight) {
  for (const Options& schedule : schedules()) {
    int errors = -1;
    EXPECT_EQ(run(Gemm::kNone, schedule, &errors), "");
    EXPECT_EQ(errors, 0);
  }
}

TEST_F(GemmFaults, MissingWaitsAndBarriers) {
  for (const Options& schedule : schedules()) {
    for (const Gemm fault : {Gemm::kNoWait, Gemm::kWaitsForTooFew}) {
      EXPECT_NE(run(fault, schedule).find("in flight: a wait is missing"), std::string::npos);
    }
    const std::string after_wait = run(Gemm::kNoBarrierAfterWait, only_races(schedule));
    EXPECT_NE(after_wait.find("race"), std::string::npos) << after_wait;
    const std::string at_end = run(Gemm::kNoBarrierAtEnd, schedule);
    EXPECT_NE(at_end.find("race"), std::string::npos) << at_end;
    EXPECT_NE(at_end.find("cp.async.cg"), std::string::npos) << at_end;
  }
}

TEST_F(GemmFaults, SwappedFragmentRegistersGiveWrongResults) {
  for (const Gemm fault : {Gemm::kSwappedA, Gemm::kSwappedB}) {
    int errors = 0;
    EXPECT_EQ(run(fault, {}, &errors), "");
    EXPECT_GT(errors, 400);
  }
}

TEST(Faults, RingOfNamedBarriers) {
  const std::size_t steps = 6;
  std::vector<int> in(32 * steps), expected(32 * steps);
  std::iota(in.begin(), in.end(), 0);
  for (std::size_t i = 0; i < 32 * steps; ++i) expected[i] = static_cast<int>(i / 32 * 32 + 31 - i % 32);
  const DeviceArray<int> din(in), out(in.size());
  for (const Options& schedule : schedules()) {
    auto run = [&](Ring fault) {
      return fault_of(only_races(schedule),
                      [&] { launch_ring(fault, din.data(), out.data(), static_cast<int>(steps), nullptr); });
    };
    EXPECT_EQ(run(Ring::kNone), "");
    EXPECT_EQ(out.host(), expected);
    const std::string no_empty = run(Ring::kNoEmptyWait);
    // A producer that runs ahead fills the barrier with its own arrivals: then the consumer waits for ever.
    const std::string expected_fault = schedule.order == Order::kForward ? "deadlock" : "race";
    EXPECT_NE(no_empty.find(expected_fault), std::string::npos) << no_empty;
    EXPECT_NE(run(Ring::kNoFullWait).find("race"), std::string::npos);
    const std::string stuck = run(Ring::kNoArrive);
    EXPECT_NE(stuck.find("deadlock"), std::string::npos) << stuck;
    EXPECT_NE(stuck.find("threads 32-63 at ptx_faults_kernels.cu:"), std::string::npos) << stuck;
  }
}

}  // namespace
}  // namespace ptx::test
