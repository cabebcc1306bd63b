#include <map>

#include <kernels/attention/sm90/attention_sm90.hpp>
#include <kernels/attention/sm90/order.hpp>
#include <tests/kernels/attention_device.hpp>

namespace traincost::kernels::attention {
namespace {

INSTANTIATE_TEST_SUITE_P(AttentionSm90, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

void forward(const Tensors& t, const Outputs& o) { sm90::launch_forward(t, o, nullptr); }

TEST_P(Schedules, Forward) {
  for (const ProblemShape& s : small_shapes()) {
    SCOPED_TRACE(describe(s));
    const Problem p(s);
    expect_forward_near(run_forward(p, forward), Expected(p));
  }
}

TEST(AttentionSm90, ForwardOfLongSequences) {
  ptx::set_options({});
  for (const ProblemShape& s : long_shapes()) {
    SCOPED_TRACE(describe(s));
    const Problem p(s);
    expect_forward_near(run_forward(p, forward), Expected(p));
  }
}

// Scores of hundreds: every exponential but the largest is zero.
TEST(AttentionSm90, LargeLogits) {
  ptx::set_options({});
  for (const int d_qk : {192, 128}) {
    const Problem p({{{130, 300}, {9, 9}}, 2, 1, d_qk}, 300);
    expect_forward_near(run_forward(p, forward), Expected(p));
  }
}

/// What one sequence holds must not reach another, NaN included.
TEST(AttentionSm90, NeighboursAreNotRead) {
  ptx::set_options({});
  Problem p({{{70, 70}, {70, 70}, {70, 70}}, 2, 1});
  Problem poisoned = p;
  const auto poison = [](Elements& x) {
    for (std::size_t i = 0; i < x.size(); ++i)
      if (i < x.size() / 3 || i >= x.size() / 3 * 2) x[i] = __float2bfloat16(NAN);
  };
  for (Elements* x : {&poisoned.q, &poisoned.k, &poisoned.v}) poison(*x);
  const Results want = run_forward(p, forward), got = run_forward(poisoned, forward);
  const auto expect_same = [](const auto& a, const auto& b, std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) ASSERT_EQ(float{a[i]}, float{b[i]}) << i;
  };
  expect_same(got.out, want.out, want.out.size() / 3, want.out.size() / 3 * 2);
  for (const std::size_t row : {70, 280}) expect_same(got.lse, want.lse, row, row + 70);
}

TEST(AttentionSm90, EveryBlockOnceAndTheLongestOfASectionFirst) {
  for (const sm90::BlockOrder order : {sm90::BlockOrder{7, 5, 3}, {6, 1, 6}, {1, 9, 1}, {8, 4, 2}}) {
    std::map<std::pair<int, int>, int> times;
    sm90::Place before{-1, 0};
    for (int i = 0; i < order.heads * order.blocks; ++i) {
      const sm90::Place place = sm90::place_of(order, i);
      ++times[{place.head, place.block}];
      if (before.head / order.section == place.head / order.section && i != 0) EXPECT_LE(place.block, before.block);
      before = place;
    }
    EXPECT_EQ(times.size(), static_cast<std::size_t>(order.heads * order.blocks));
    EXPECT_EQ(times.begin()->first, (std::pair{0, 0}));
    EXPECT_EQ(times.rbegin()->first, (std::pair{order.heads - 1, order.blocks - 1}));
  }
}

}  // namespace
}  // namespace traincost::kernels::attention
