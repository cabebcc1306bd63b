// Which providers a card runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include <traincost/catalog/chip.hpp>

#include <bench/program/jobs.hpp>

namespace traincost::bench {
namespace {

class Card : public Backend {
 public:
  explicit Card(int compute_capability) : compute_capability_(compute_capability) {}
  std::string device_name() override { return "card"; }
  int compute_capability() override { return compute_capability_; }
  Context context() override { return {}; }
  std::vector<measure::Mode> modes() override { return {measure::Mode::hot}; }
  std::string why_no_mode(measure::Mode) override { return ""; }
  std::unique_ptr<Probe> probe(std::shared_ptr<Prepared>, measure::Mode) override { return nullptr; }

 private:
  int compute_capability_;
};

/// case/provider of what is not skipped.
std::set<std::string> running(int compute_capability) {
  Card card(compute_capability);
  std::set<std::string> names;
  for (const Job& job : jobs(kernels::cases(), *catalog::find_chip(catalog::chips(), "h800-sxm5-80gb"), &card))
    if (job.skip.empty()) names.insert(job.case_name + "/" + job.provider);
  return names;
}

// Code for sm_90a runs on compute capability 9.0 alone (PTX ISA 11.1.2, architecture-specific features).
TEST(Jobs, HoppersKernelsRunOnHopperAlone) {
  const auto before = running(80);
  const auto hopper = running(90);
  for (const int other : {80, 86, 89, 100, 103, 120})
    for (const char* name : {"gemm_fp8/traincost", "grouped_gemm_fp8/traincost", "grouped_gemm/traincost_sm90",
                             "mla_decode/traincost_sm90", "mla_decode_fp8/traincost_sm90"}) {
      EXPECT_TRUE(hopper.contains(name)) << name;
      EXPECT_FALSE(running(other).contains(name)) << name << " on " << other;
    }
  for (const std::string& name : before) EXPECT_TRUE(running(100).contains(name)) << name;
}

TEST(Jobs, EveryProviderOfHoppersCodeIsGuarded) {
  std::size_t guarded = 0;
  for (const kernels::Case& c : kernels::cases())
    for (const kernels::Provider& p : c.providers) {
      const bool is_of_hopper = p.code_path == "sm_90a" || p.name.ends_with("sm90");
      EXPECT_EQ(is_of_hopper, p.is_one_architecture) << c.name << '/' << p.name;
      if (!is_of_hopper) continue;
      EXPECT_EQ(p.min_compute_capability, 90) << c.name << '/' << p.name;
      ++guarded;
    }
  EXPECT_GE(guarded, 7U);
}

TEST(Jobs, SayWhichCardTheyNeed) {
  Card blackwell(100);
  const auto all = jobs(kernels::cases(), *catalog::find_chip(catalog::chips(), "h800-sxm5-80gb"), &blackwell);
  const auto job = std::ranges::find_if(all, [](const Job& j) { return j.case_name == "gemm_fp8"; });
  ASSERT_NE(job, all.end());
  EXPECT_EQ(job->skip, "needs compute capability 9.0");
}

}  // namespace
}  // namespace traincost::bench
