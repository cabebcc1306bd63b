#include <gtest/gtest.h>

#include "device_array.hpp"
#include "fault_of.hpp"
#include "ptx/ptx.hpp"
#include "ptx_hopper_kernels.hpp"

// Programmatic dependent launches: what a grid touches of the grid before it without having waited is a race.
namespace ptx::test {
namespace {

constexpr int kN = 192;

struct Grids {
  DeviceArray<float> in{std::vector<float>(kN, 3)}, data{kN}, out{kN};

  /// `between`: what happens after the first grid.
  template <class Between>
  std::string run(Dependent fault, const Options& options, bool is_dependent, Between between) {
    return fault_of(options, [&] {
      launch_doubling(in.data(), data.data(), kN);
      between();
      launch_adding(fault, in.data(), data.data(), out.data(), kN, is_dependent);
    });
  }
  std::string run(Dependent fault, const Options& options, bool is_dependent = true) {
    return run(fault, options, is_dependent, [] {});
  }
};

TEST(Dependents, AreCleanAfterTheirWait) {
  for (const Options& schedule : schedules()) {
    for (const Dependent correct : {Dependent::kNone, Dependent::kOneThreadWaits}) {
      Grids grids;
      EXPECT_EQ(grids.run(correct, schedule), "");
      EXPECT_EQ(grids.out.host(), std::vector<float>(kN, 7));
    }
  }
}

TEST(Dependents, EachPlantedFaultIsSeenUnderEverySchedule) {
  struct Planted {
    Dependent fault;
    const char* says;
  };
  for (const Planted& row : {Planted{Dependent::kNoWait, "global read of 4 bytes"},
                             {Dependent::kReadsBeforeWait, "which an earlier kernel writes"},
                             {Dependent::kWritesBeforeWait, "which an earlier kernel reads"},
                             {Dependent::kNoBarrierAfterOneWaits, "global read of 4 bytes"}}) {
    for (const Options& schedule : schedules()) {
      const std::string text = Grids().run(row.fault, schedule);
      EXPECT_NE(text.find("griddepcontrol.wait is missing"), std::string::npos) << text;
      EXPECT_NE(text.find(row.says), std::string::npos) << text;
      EXPECT_NE(text.find("ptx_hopper_kernels.cu:"), std::string::npos) << text;
    }
  }
}

TEST(Dependents, NeedNoWaitWhenTheGridBeforeHasEnded) {
  for (const Dependent fault : {Dependent::kNoWait, Dependent::kReadsBeforeWait}) {
    EXPECT_EQ(Grids().run(fault, {}, false), "") << "an ordinary launch";
    EXPECT_EQ(Grids().run(fault, {}, true, [] { cudaDeviceSynchronize(); }), "") << "the host has waited";
  }
}

// A grid that does not wait may end before the one before it: who waits for the former has not waited for the latter.
TEST(Dependents, AWaitReachesOneGridBack) {
  EXPECT_EQ(Grids().run(Dependent::kNone, {}, true, [] { launch_between(true); }), "");
  const std::string text = Grids().run(Dependent::kNone, {}, true, [] { launch_between(false); });
  EXPECT_NE(text.find("the kernel between them did not execute griddepcontrol.wait"), std::string::npos) << text;
}

}  // namespace
}  // namespace ptx::test
