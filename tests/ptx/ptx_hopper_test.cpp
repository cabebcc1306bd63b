#include <gtest/gtest.h>

#include "device_array.hpp"
#include "fault_of.hpp"
#include "ptx/ptx.hpp"
#include "ptx_hopper_kernels.hpp"

// Hopper's asynchronous pipeline with a planted fault each: the executor must see it under every schedule.
namespace ptx::test {
namespace {

/// a[64, k] and b[64, k] of small integers: exact in fp32.
struct Product {
  explicit Product(std::size_t depth) : k(depth), a(64 * depth), b(64 * depth) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = __float2bfloat16(static_cast<float>(i * 7 % 23) - 11);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = __float2bfloat16(static_cast<float>(i * 5 % 19) - 9);
  }
  [[nodiscard]] int wrong(const std::vector<float>& c) const {
    int count = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      for (std::size_t j = 0; j < 64; ++j) {
        float sum = 0;
        for (std::size_t l = 0; l < k; ++l) sum += __bfloat162float(a[i * k + l]) * __bfloat162float(b[j * k + l]);
        count += c[i * 64 + j] == sum ? 0 : 1;
      }
    }
    return count;
  }
  std::string run(Pipeline fault, const Options& options, int* errors = nullptr) const {
    const DeviceArray<__nv_bfloat16> da(a), db(b);
    const DeviceArray<float> c(std::size_t{64} * 64);
    std::string text =
        fault_of(options, [&] { launch_pipeline(fault, da.data(), db.data(), c.data(), static_cast<int>(k)); });
    if (errors != nullptr) *errors = wrong(c.host());
    return text;
  }

  std::size_t k;
  std::vector<__nv_bfloat16> a, b;
};

TEST(Hopper, PipelineIsCleanAndRight) {
  for (const std::size_t k : {64U, 8U, 128U, 200U, 384U}) {  // with tails that the copy fills with zeros
    for (const Options& schedule : schedules()) {
      int errors = -1;
      EXPECT_EQ(Product(k).run(Pipeline::kNone, schedule, &errors), "");
      EXPECT_EQ(errors, 0) << k;
    }
  }
}

TEST(Hopper, EachFaultOfThePipelineIsSeenUnderEverySchedule) {
  struct Planted {
    Pipeline fault;
    std::vector<std::string> says;  // one of them
  };
  const std::vector<Planted> rows{
      {Pipeline::kNoFullWait, {"in flight: a wait is missing", "is not ordered after", "that nothing wrote"}},
      {Pipeline::kNoEmptyWait, {"1 arrivals at an mbarrier that expects only 0 more"}},
      {Pipeline::kTooManyBytes, {"lacks 0 of 1 arrivals and 16 bytes"}},
      {Pipeline::kTooFewBytes, {"in flight: a wait is missing"}},
      {Pipeline::kNoCommit, {"bulk write", "accumulator of a wgmma in flight"}},
      {Pipeline::kNoProductWait, {"bulk write", "accumulator of a wgmma in flight"}},
      {Pipeline::kEmptyBeforeWait, {"bulk write", "that has not been waited for"}},
      {Pipeline::kNoProductFence, {"wgmma.fence is missing"}},
      {Pipeline::kNoBarrierInit, {"no mbarrier was initialised"}},
      {Pipeline::kOneWarpReleases, {"is not ordered after", "that has not been waited for"}},
      {Pipeline::kTouchesStage, {"is not ordered after", "in flight: a wait is missing", "fence.proxy.async"}},
  };
  const Product product(384);
  for (const Planted& row : rows) {
    for (const Options& schedule : schedules()) {
      const std::string text = product.run(row.fault, schedule);
      const bool found = std::any_of(row.says.begin(), row.says.end(),
                                     [&](const auto& part) { return text.find(part) != std::string::npos; });
      EXPECT_TRUE(found) << static_cast<int>(row.fault) << ", schedule " << static_cast<int>(schedule.order) << ": "
                         << text;
    }
  }
}

// Without a second round through the stages nothing overwrites what is still read: only the accumulators tell.
TEST(Hopper, AccumulatorsBelongToTheProductUntilItIsWaitedFor) {
  for (const Pipeline fault : {Pipeline::kNoCommit, Pipeline::kNoProductWait}) {
    for (const Options& schedule : schedules()) {
      EXPECT_NE(Product(64).run(fault, schedule).find("accumulator of a wgmma in flight"), std::string::npos);
    }
  }
}

TEST(Hopper, AWrongSwizzleGivesWrongResults) {
  int errors = 0;
  EXPECT_EQ(Product(128).run(Pipeline::kWrongSwizzle, {}, &errors), "");
  EXPECT_GT(errors, 3000);
}

TEST(Hopper, ProxiesNeedFencesAndBulkStoresWaits) {
  const std::vector<float> in(256, 2.0F);
  const DeviceArray<float> din(in), out(256);
  for (const Options& schedule : schedules()) {
    auto run = [&](Proxy fault) {
      return fault_of(schedule, [&] { launch_proxy(fault, din.data(), out.data(), 256); });
    };
    EXPECT_EQ(run(Proxy::kNone), "");
    EXPECT_EQ(out.host(), std::vector<float>(256, 3.0F));
    EXPECT_NE(run(Proxy::kNoFence).find("fence.proxy.async is missing"), std::string::npos);
    for (const Proxy fault : {Proxy::kNoCommit, Proxy::kNoReadWait, Proxy::kNoWait}) {
      const std::string text = run(fault);
      EXPECT_NE(text.find("that has not been waited for"), std::string::npos) << static_cast<int>(fault) << text;
    }
  }
}

TEST(Hopper, ClustersShareTilesByMulticastAndReachTheirPeers) {
  std::vector<float> tile(1024);
  for (std::size_t i = 0; i < tile.size(); ++i) tile[i] = static_cast<float>(i);
  const DeviceArray<float> dtile(tile), out(2048);
  for (const Options& schedule : schedules()) {
    auto run = [&](Clusters fault) {
      return fault_of(schedule, [&] { launch_cluster(fault, dtile.data(), out.data()); });
    };
    EXPECT_EQ(run(Clusters::kNone), "");
    const auto got = out.host();
    for (std::size_t i = 0; i < 2048; ++i) ASSERT_EQ(got[i], tile[i % 1024] + (i < 1024 ? 1.0F : 0.0F));
    const std::string no_wait = run(Clusters::kNoWaitAtEnd);
    EXPECT_NE(no_wait.find("is not ordered after the write by thread 0 of block"), std::string::npos) << no_wait;
    const std::string no_barrier = run(Clusters::kNoClusterBarrier);
    EXPECT_NE(no_barrier.find("mbarrier"), std::string::npos) << no_barrier;
    EXPECT_NE(run(Clusters::kHalfTheBytes).find("in flight: a wait is missing"), std::string::npos);
    EXPECT_NE(run(Clusters::kPastTheCluster).find("in a cluster of 2 blocks"), std::string::npos);
  }
}

}  // namespace
}  // namespace ptx::test
