#include <cstring>
#include <map>

#include <kernels/attention/sm90/attention_sm90.hpp>
#include <kernels/attention/sm90/order.hpp>
#include <tests/kernels/attention_device.hpp>

namespace traincost::kernels::attention {
namespace {

INSTANTIATE_TEST_SUITE_P(AttentionSm90, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

void forward(const Tensors& t, const Outputs& o) { sm90::launch_forward(t, o, nullptr); }

/// Both passes; what the gradients do not write is a fault of theirs.
Results both(const Problem& p, bool is_deterministic = false) {
  const DeviceBuffer<char> workspace(sm90::workspace_bytes(p.shape));
  return run(p, forward, [&](const Tensors& t, const Outputs& o) {
    sm90::launch_backward(t, o, {is_deterministic, workspace.data()}, nullptr);
  });
}

void expect_right(const Problem& p) {
  const Results got = both(p);
  const Expected expected(p);
  expect_forward_near(got, expected);
  expect_gradients_near(got, expected);
}

TEST_P(Schedules, ForwardAndBackward) {
  for (const ProblemShape& s : small_shapes()) {
    SCOPED_TRACE(describe(s));
    expect_right(Problem(s));
  }
}

TEST(AttentionSm90, LongSequences) {
  ptx::set_options({});
  for (const ProblemShape& s : long_shapes()) {
    SCOPED_TRACE(describe(s));
    expect_right(Problem(s));
  }
}

// Scores of hundreds, and so large that every exponential but the largest is zero. Backward takes p from lse, whose own
// last digit is a hundredth there.
TEST(AttentionSm90, LargeLogits) {
  ptx::set_options({});
  for (const int d_qk : {192, 128}) {
    const ProblemShape s{{{130, 300}, {9, 9}}, 2, 1, d_qk};
    expect_right(Problem(s, 1000));
    const Problem p(s, 1e5F);
    expect_forward_near(run_forward(p, forward), Expected(p));
  }
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, const char* name) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0) << name;
}

/// Blocks of keys run in other orders, and add to grad_q in the same one.
TEST(AttentionSm90, DeterministicUnderEverySchedule) {
  for (const ProblemShape& s :
       {ProblemShape{{{300, 500}, {0, 3}, {70, 300}}, 2, 1}, {{{200, 400}}, 2, 2, 128, false}}) {
    const Problem p(s);
    std::vector<Results> all;
    for (const ptx::Options& options : ptx::schedules()) {
      ptx::set_options(options);
      all.push_back(both(p, true));
    }
    expect_gradients_near(all[0], Expected(p));
    for (const Results& r : {all[1], all[2]}) {
      expect_same_bits(r.grad_q, all[0].grad_q, "grad_q");
      expect_same_bits(r.grad_k, all[0].grad_k, "grad_k");
      expect_same_bits(r.grad_v, all[0].grad_v, "grad_v");
    }
  }
}

/// What one sequence holds must not reach another, NaN included.
TEST(AttentionSm90, NeighboursAreNotRead) {
  ptx::set_options({});
  for (const int d_qk : {192, 128}) {
    const Problem p({{{70, 70}, {70, 70}, {70, 70}}, 2, 1, d_qk});
    Problem poisoned = p;
    for (Elements* x : {&poisoned.q, &poisoned.k, &poisoned.v, &poisoned.grad_out})
      for (std::size_t i = 0; i < x->size(); ++i)
        if (i / (x->size() / 3) != 1) (*x)[i] = __float2bfloat16(NAN);
    const Results want = both(p), got = both(poisoned);
    const auto middle = [](auto x) {
      const auto third = static_cast<std::ptrdiff_t>(x.size() / 3);
      return decltype(x)(x.begin() + third, x.end() - third);
    };
    expect_same_bits(middle(got.out), middle(want.out), "out");
    expect_same_bits(middle(got.grad_q), middle(want.grad_q), "grad_q");
    expect_same_bits(middle(got.grad_k), middle(want.grad_k), "grad_k");
    expect_same_bits(middle(got.grad_v), middle(want.grad_v), "grad_v");
  }
}

/// Of 512 causal tokens: four blocks of queries see 1 to 4 tiles of keys, four blocks of keys 2 to 8 tiles of queries.
TEST(AttentionSm90, LoadsNothingBehindTheDiagonal) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  const auto expect_loads = [](double least) {
    const auto bytes = static_cast<double>(counted().global_loads.bytes);
    EXPECT_GE(bytes, least);
    EXPECT_LE(bytes, 1.04 * least);  // each thread reads the lengths of its sequence
  };
  for (const int d_qk : {192, 128}) {
    const Problem p({{{512, 512}}, 1, 1, d_qk});
    const double row = 2 * (d_qk + 128), q_rows = 512 * 2 * d_qk, all_rows = 512 * row;
    ptx::set_options({});
    ptx::reset_counters();
    run_forward(p, forward);
    const double of_forward = q_rows + 10 * 128 * row;
    expect_loads(of_forward);
    const auto& shared = counted().shared;  // rows and chunks of the swizzled tiles meet no bank twice
    EXPECT_EQ(shared.wavefronts, shared.ideal_wavefronts);
    ptx::reset_counters();
    both(p);
    // Additions to grad_q count as loads; it is read once more, and delta takes out and grad_out.
    const double of_backward = all_rows + 20 * 64 * (row + 8 + 4 * d_qk) + 512 * (4 * d_qk + 2 * 2 * 128);
    expect_loads(of_forward + of_backward);
  }
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
