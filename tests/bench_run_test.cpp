#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <traincost/measure/csv.hpp>
#include <traincost/measure/google_benchmark.hpp>
#include <traincost/units/error.hpp>

#include <support/fake_probe.hpp>

namespace traincost::bench {
namespace {
using measure::Mode;
using test::FakeClock;
using test::gemm_job;

const Context kContext{{"chip", "h100-sxm5-80gb"}, {"commit", "abc"}};
const std::set<std::string> kSame{"chip", "commit"};

class Runs : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& path : {partial, results}) std::filesystem::remove(path);
  }
  Summary run_all(const std::vector<Job>& jobs, const Settings& s) {
    Journal journal(partial, kContext, kSame);
    const auto summary = bench::run(jobs, journal, s);
    journal.write_results(results);
    return summary;
  }
  Summary run_all(const std::vector<Job>& jobs) { return run_all(jobs, test::settings(clock, told)); }
  [[nodiscard]] measure::BenchFile file() const { return measure::read_bench_file(results); }

  std::string name = testing::TempDir() + "bench_" + testing::UnitTest::GetInstance()->current_test_info()->name();
  std::string partial = name + ".partial", results = name + ".json";
  FakeClock clock;
  std::vector<std::string> told;
};

TEST_F(Runs, ARowCarriesAllOfItsFigures) {
  const auto summary = run_all({gemm_job(clock, 4096, 400e-6)});
  EXPECT_EQ(summary.timed, 1U);
  const auto e = file().entries.at(0);
  EXPECT_EQ(e.name, "gemm/fake/bf16/m=4096/cold/iterations:1/manual_time");
  EXPECT_DOUBLE_EQ(e.latency.value, 400e-6);
  EXPECT_DOUBLE_EQ(*e.number("real_time"), 400);
  EXPECT_EQ(e.text("time_unit"), "us");
  EXPECT_EQ(e.text("code_path"), "a_fake_one");
  EXPECT_EQ(*e.number("samples"), 10);
  EXPECT_EQ(*e.number("discarded"), 0);
  EXPECT_EQ(*e.number("sm_clock_hz"), test::kClock);
  EXPECT_EQ(*e.number("temperature_c"), 50);
  EXPECT_EQ(*e.number("power_w"), 600);
  EXPECT_DOUBLE_EQ(*e.number("flop"), 2.0 * 4096 * 4096 * 4096);
  EXPECT_DOUBLE_EQ(*e.number("traffic_bytes"), 3 * 2.0 * 4096 * 4096);
  EXPECT_NEAR(*e.number("percent_of_floor"), 100 * *e.number("floor_s") / 400e-6, 1e-9);
  for (const char* key : {"p25_s", "p75_s", "p95_s"}) EXPECT_DOUBLE_EQ(*e.number(key), 400e-6) << key;
  const auto rows = measure::rows_of(file());
  EXPECT_EQ(rows.at(0).op, work::Op(work::Gemm{.m = 4096, .n = 4096, .k = 4096}));
  EXPECT_EQ(rows.at(0).mode, Mode::cold);
  EXPECT_EQ(rows.at(0).chip, "h100-sxm5-80gb");
  EXPECT_TRUE(rows.at(0).is_own);
}

TEST_F(Runs, AWrongKernelIsRefusedAndNeverTimed) {
  bool was_timed = false;
  auto wrong = gemm_job(clock, 128, 1e-6);
  wrong.prepare = [&] {
    return std::make_unique<test::FakeProbe>(clock, test::Script{.sample =
                                                                     [&](std::size_t) {
                                                                       was_timed = true;
                                                                       return Sample{};
                                                                     },
                                                                 .mismatch = "wrong answer: absolute 3 at 1e-3"});
  };
  const auto summary = run_all({wrong, gemm_job(clock, 4096, 400e-6)});
  EXPECT_EQ(summary.wrong, 1U);
  EXPECT_EQ(summary.timed, 1U);
  EXPECT_FALSE(was_timed);
  EXPECT_EQ(file().entries.size(), 1U);
  EXPECT_NE(measure::read_text(results).find("wrong answer: absolute 3 at 1e-3"), std::string::npos);
  EXPECT_NE(told.at(0).find("FAILED: wrong answer"), std::string::npos);
}

TEST_F(Runs, AnErrorOfOneRowDoesNotEndTheOthersAndIsTriedAgain) {
  auto jobs = std::vector{gemm_job(clock, 128, 1e-5), gemm_job(clock, 256, 2e-5)};
  jobs[0].prepare = []() -> std::unique_ptr<Probe> { throw InputError("out of memory"); };
  EXPECT_EQ(run_all(jobs).wrong, 1U);
  EXPECT_EQ(file().entries.size(), 1U);
  jobs[0] = gemm_job(clock, 128, 1e-5);
  EXPECT_EQ(run_all(jobs).timed, 1U);
  EXPECT_EQ(file().entries.size(), 2U);
  EXPECT_EQ(measure::read_text(results).find("out of memory"), std::string::npos);
}

TEST_F(Runs, SkippedRowsAreToldAndNotPrepared) {
  auto job = gemm_job(clock, 128, 1e-5);
  job.skip = "needs cuBLAS";
  const auto summary = run_all({job, gemm_job(clock, 256, 2e-5)});
  EXPECT_EQ(summary.skipped, 1U);
  EXPECT_EQ(told.at(0), "gemm/fake/bf16/m=128/cold: skipped: needs cuBLAS");
}

TEST_F(Runs, NoRowIsBegunAfterTheBudget) {
  auto s = test::settings(clock, told);
  s.budget = units::Seconds{2};
  const std::vector jobs{gemm_job(clock, 1024, 0.1), gemm_job(clock, 2048, 0.1), gemm_job(clock, 4096, 0.1)};
  const auto summary = run_all(jobs, s);  // each takes 1.3 s
  EXPECT_EQ(summary.timed, 2U);
  EXPECT_EQ(summary.left, 1U);
  EXPECT_EQ(run_all(jobs).timed, 1U) << "a later run takes what is left";
}

TEST_F(Runs, ProgressTellsTheTimeLeft) {
  run_all({gemm_job(clock, 4096, 40), gemm_job(clock, 8192, 40)});
  EXPECT_NE(told.at(0).find("[1/2] gemm/fake/bf16/m=4096/cold: 40000000.00 us"), std::string::npos) << told.at(0);
  EXPECT_NE(told.at(0).find("3 min left"), std::string::npos) << told.at(0);
  EXPECT_EQ(time_left(0, 3, {5}), "");
  EXPECT_EQ(time_left(1, 3, {5}), "10 s left");
  EXPECT_EQ(time_left(1, 3, {7200}), "4.0 h left");
}

TEST_F(Runs, AKilledRunResumesAndLosesNothing) {
  std::vector<Job> jobs;
  for (int i = 1; i <= 6; ++i) jobs.push_back(gemm_job(clock, 128.0 * i, i * 1e-5));
  const pid_t child = fork();
  if (child == 0) {
    auto dies = jobs;
    dies[3].prepare = []() -> std::unique_ptr<Probe> {
      std::raise(SIGKILL);
      return nullptr;
    };
    run_all(dies);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto before = measure::read_text(partial);
  std::ofstream(partial, std::ios::app) << R"({"name": "gemm/fake/bf16/m=512/cold/iterations:1", "la)";  // torn
  EXPECT_EQ(run_all(jobs).timed, 3U);
  EXPECT_EQ(measure::read_text(partial).substr(0, before.size()), before);
  ASSERT_EQ(file().entries.size(), 6U);
  for (int i = 1; i <= 6; ++i) EXPECT_DOUBLE_EQ(file().entries[i - 1].latency.value, i * 1e-5);
}

TEST_F(Runs, AnotherCardOrCommitDoesNotContinueAFile) {
  run_all({gemm_job(clock, 128, 1e-5)});
  EXPECT_THROW(Journal(partial, {{"chip", "a100-sxm4-80gb"}, {"commit", "abc"}}, kSame), InputError);
  try {
    const Journal other(partial, {{"chip", "h100-sxm5-80gb"}, {"commit", "def"}}, kSame);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.what(), partial + ": commit = \"abc\", expected \"def\" as now: finish it there or remove it");
  }
}

TEST(Choice, FiltersByKeyAndTakesThreeShapesOfACase) {
  FakeClock clock;
  std::vector<Job> jobs;
  for (const double m : {4096, 128, 1024, 256, 512})
    for (const auto mode : {Mode::cold, Mode::hot}) jobs.push_back(gemm_job(clock, m, 1e-5, mode));
  EXPECT_EQ(choose(jobs, {.filter = "/hot$"}).size(), 5U);
  EXPECT_EQ(choose(jobs, {.filter = "m=128/"}).size(), 2U);
  const auto quick = choose(jobs, {.is_quick = true});
  ASSERT_EQ(quick.size(), 6U);
  EXPECT_TRUE(std::ranges::all_of(
      quick, [](const Job& j) { return j.shape == "m=128" || j.shape == "m=512" || j.shape == "m=4096"; }));
  EXPECT_THROW(choose(jobs, {.filter = "("}), InputError);
}

TEST(Choice, ListsTheFloorBeforeAnythingRuns) {
  FakeClock clock;
  auto job = gemm_job(clock, 4096, 1);
  job.prepare = [] { return std::unique_ptr<Probe>(); };
  EXPECT_EQ(listing({job}, "h100-sxm5-80gb"),
            "   floor, us  case/provider/format/shape/mode on h100-sxm5-80gb\n"
            "      138.97  gemm/fake/bf16/m=4096/cold\n"
            "1 rows\n");
}

}  // namespace
}  // namespace traincost::bench
