#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include <traincost/measure/google_benchmark.hpp>

#include <bench/collective.hpp>
#include <support/fake_probe.hpp>

namespace traincost::bench {
namespace {

CollectiveCase find(int gpus, const std::string& name, double bytes) {
  const auto all = collective_cases(gpus);
  const auto at = std::ranges::find_if(
      all, [&](const CollectiveCase& c) { return c.name == name && (bytes == 0 || c.buffer_bytes == bytes); });
  if (at == all.end()) throw std::out_of_range(name);
  return *at;
}

TEST(Collectives, RowsCarryBothBandwidths) {
  const auto path = testing::TempDir() + "bench_collective";
  std::filesystem::remove(path + ".partial");
  test::FakeClock clock;
  std::vector<std::string> told;
  std::vector<Job> jobs;
  for (const char* name : {"all_reduce", "all_gather"}) {
    jobs.push_back(collective_job(find(8, name, 0x1p30), *catalog::find_chip(catalog::chips(), "h100-sxm5-80gb")));
    jobs.back().prepare = [&clock] { return std::make_unique<test::FakeProbe>(clock, test::steady(5e-3)); };
  }
  Journal journal(path + ".partial", {{"chip", "h100-sxm5-80gb"}}, {});
  run(jobs, journal, test::settings(clock, told));
  journal.write_results(path + ".json");
  const auto file = measure::read_bench_file(path + ".json");
  EXPECT_DOUBLE_EQ(*file.entries.at(0).number("algbw"), 0x1p30 / 5e-3);
  EXPECT_DOUBLE_EQ(*file.entries[0].number("busbw"), 2 * 0x1p30 * 7 / 8 / 5e-3);
  EXPECT_DOUBLE_EQ(*file.entries.at(1).number("busbw"), 0x1p30 * 7 / 8 / 5e-3);
  const auto rows = measure::rows_of(file);
  EXPECT_EQ(rows.at(0).op,
            work::Op(work::Collective{.kind = work::CollectiveKind::all_reduce, .bytes = 0x1p30, .gpus = 8}));
}

TEST(Collectives, ATokenGoesOnceToEachGpuWithOneOfItsExperts) {
  const auto c = find(8, "dispatch deepseek-v3", 0);
  const double distinct = 8 * (1 - std::pow(1 - 1.0 / 8, 8));  // of 8 experts over 8 GPUs
  EXPECT_NEAR(c.buffer_bytes, 4096 * 7168 * 2 * distinct, 2);
  EXPECT_TRUE(std::get<work::MoeExchange>(find(8, "combine deepseek-v3", 0).op).is_combine);
}

TEST(Collectives, ExpertsThatDoNotDivideAreLeftOut) {
  EXPECT_THROW(find(7, "dispatch deepseek-v3", 0), std::out_of_range);
  EXPECT_EQ(find(1, "all_reduce", 4096).buffer_bytes, 4096);
}

}  // namespace
}  // namespace traincost::bench
