#include <cmath>
#include <limits>

#include <kernels/common/deviation.hpp>
#include <tests/kernels/decode_problem.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::split_kv {

inline bool operator==(const Part& a, const Part& b) {
  return a.begin_sequence == b.begin_sequence && a.begin_page == b.begin_page && a.end_sequence == b.end_sequence &&
         a.end_page == b.end_page;
}

namespace {

INSTANTIATE_TEST_SUITE_P(SplitKv, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

std::vector<int> random_lengths(int count, int limit, std::uint64_t seed) {
  Random random(seed);
  std::vector<int> lengths(static_cast<std::size_t>(count));
  for (int& length : lengths) length = random.below(limit);
  return lengths;
}

const std::vector<std::vector<int>> kLengths = {
    {0},
    {1},
    {64},
    {65},
    {131072},
    {0, 0, 0},
    {4096, 0, 1, 64, 63, 65},
    std::vector<int>(300, 100),
    random_lengths(128, 8192, 1),
    random_lengths(7, 100000, 2),
    random_lengths(1000, 40, 3),
    random_lengths(257, 300, 4),
};
const std::vector<int> kParts = {1, 2, 13, 54, 66, 108, 132, 528};

TEST_P(Schedules, PlansEqualTheReference) {
  for (const auto& lengths : kLengths)
    for (const int num_parts : kParts) {
      SCOPED_TRACE(testing::Message() << lengths.size() << " sequences, the first of " << lengths.front() << ", "
                                      << num_parts << " parts");
      const DevicePlan got(lengths, num_parts, 1, 1);
      finish();
      expect_written(got.parts());
      expect_written(got.first_part());
      expect_written(got.slot_begin());
      const HostPlan want(lengths, num_parts);
      ASSERT_TRUE(got.parts().to_host() == want.parts);
      ASSERT_EQ(got.first_part().to_host(), want.first_part);
      ASSERT_EQ(got.slot_begin().to_host(), want.slot_begin);
      ASSERT_LE(want.slot_begin.back(), max_slots(num_parts));
    }
}

TEST(SplitKvReference, PartsCoverEveryPageOnceInOrder) {
  for (const auto& lengths : kLengths)
    for (const int num_parts : kParts) {
      const HostPlan plan(lengths, num_parts);
      int before_sequence = 0;
      int before_page = 0;
      for (const Part& part : plan.parts) {
        ASSERT_EQ(part.begin_sequence, before_sequence);
        ASSERT_EQ(part.begin_page, before_page);
        before_sequence = part.end_sequence;
        before_page = part.end_page;
      }
      ASSERT_EQ(before_sequence, static_cast<int>(lengths.size()));
      ASSERT_EQ(before_page, 0);
    }
}

// FlashMLA's shape: 128 sequences of 4096 tokens and 128 heads, two query tiles.
TEST(SplitKvReference, KeepsTheSmsOfTwoCardsBusy) {
  for (const int sm_count : {108, 132}) {
    const std::vector<int> lengths(128, 4096);
    const HostPlan plan(lengths, parts_for(sm_count, 1, 2));
    std::int64_t most = 0;
    std::int64_t pages_of_all = 0;
    for (const Part& part : plan.parts) {
      const std::int64_t own = (part.end_sequence - part.begin_sequence) * 64 + part.end_page - part.begin_page;
      most = std::max(most, own);
      pages_of_all += own;
    }
    EXPECT_EQ(pages_of_all, 128 * 64);
    const double fair = static_cast<double>(pages_of_all) / (sm_count / 2.0);
    EXPECT_LE(static_cast<double>(most) / fair, 1.04) << sm_count;
  }
}

struct Partial {
  std::vector<float> out, lse;
};

Partial draw(int slots, int rows, int d_v) {
  return {random_floats(static_cast<std::size_t>(slots) * rows * d_v, -1, 1, 5),
          random_floats(static_cast<std::size_t>(slots) * rows, -20, 20, 6)};
}

TEST_P(Schedules, CombineEqualsTheReference) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<int> lengths{700, 10, 0, 2000};
  for (const int d_v : {128, 512})
    for (const int rows : {1, 5}) {
      const HostPlan host(lengths, 7);
      const DevicePlan device(lengths, 7, 1, 1);
      Partial x = draw(max_slots(7), rows, d_v);
      x.lse[0] = -kInf;  // a piece without a visible token
      for (int slot = host.slot_begin[3]; slot < host.slot_begin[4]; ++slot) x.lse[std::size_t(slot) * rows] = -kInf;
      const DeviceBuffer<float> partial_out(x.out), partial_lse(x.lse);
      std::vector<__nv_bfloat16> want(lengths.size() * rows * d_v, __float2bfloat16(-77));
      std::vector<float> want_lse(lengths.size() * rows, -77);
      const DeviceBuffer<__nv_bfloat16> out(want);
      const DeviceBuffer<float> lse(want_lse);
      CombineParams p{.b = 4,
                      .rows = rows,
                      .d_v = d_v,
                      .plan = device.plan(),
                      .partial_out = partial_out.data(),
                      .partial_lse = partial_lse.data(),
                      .out = out.data(),
                      .lse = lse.data()};
      launch(p, nullptr);
      finish();
      p.plan.slot_begin = host.slot_begin.data();
      p.partial_out = x.out.data();
      p.partial_lse = x.lse.data();
      p.out = want.data();
      p.lse = want_lse.data();
      reference(p);
      EXPECT_LE(deviation(out.to_host(), want).relative, 0x1p-7);
      EXPECT_LE(deviation(lse.to_host(), want_lse).absolute, 4e-6);
    }
}

}  // namespace
}  // namespace traincost::kernels::split_kv
