#include <cstring>

#include <tests/kernels/attention_device.hpp>

namespace traincost::kernels::attention {
namespace {

INSTANTIATE_TEST_SUITE_P(Attention, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

void forward(const Tensors& tensors, const Outputs& outputs) { launch_forward(tensors, outputs, nullptr); }

TEST_P(Schedules, AgreesWithTheReference) {
  for (const auto& s : small_shapes()) {
    SCOPED_TRACE(describe(s));
    const Problem p(s);
    expect_forward_near(run_forward(p, forward), Expected(p));
  }
}

TEST_P(Schedules, VeryLargeLogits) {
  for (const int d_qk : {128, 192}) {
    const Problem p({{{70, 90}}, 2, 1, d_qk}, 1e5F);
    const Expected expected(p);
    EXPECT_GT(*std::ranges::max_element(expected.want.lse), 1e5);
    expect_forward_near(run_forward(p, forward), expected);
  }
}

TEST(Attention, LongSequences) {
  ptx::set_options({.counters = false});
  for (const auto& s : long_shapes()) {
    SCOPED_TRACE(describe(s));
    const Problem p(s);
    expect_forward_near(run_forward(p, forward), Expected(p));
  }
}

TEST(Attention, TokensBeyondTwoToThe32Elements) {
  ptx::set_options({});
  const Problem p({{{70, 50}}, 2, 1, 192});
  expect_forward_near(run_forward(far_away(p), forward), Expected(p));
}

TEST(Attention, FewBankConflictsAndNoProductTooMany) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const int d_qk : {128, 192}) {
    ptx::set_options({});
    ptx::reset_counters();
    run_forward(Problem({{{256, 256}}, 1, 1, d_qk}), forward);
    const auto shared = counted().shared;
    EXPECT_LE(static_cast<double>(shared.wavefronts) / static_cast<double>(shared.ideal_wavefronts), 1.03) << d_qk;
    // Tiles of 128 queries x 48 keys: three and six, the rest is behind the diagonal.
    EXPECT_EQ(counted().instructions(ptx::Class::kMatrix), 9U * 128 * 48 * (d_qk + 128) / (16 * 8 * 16)) << d_qk;
  }
}

}  // namespace
}  // namespace traincost::kernels::attention
