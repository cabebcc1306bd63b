#include <cstddef>
#include <cstring>

#include <tests/kernels/attention_device.hpp>

namespace traincost::kernels::attention {
namespace {

INSTANTIATE_TEST_SUITE_P(Attention, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

void forward(const Tensors& tensors, const Outputs& outputs) { launch_forward(tensors, outputs, nullptr); }

auto backward(bool is_deterministic) {
  return [=](const Tensors& tensors, const Outputs& outputs) {
    const DeviceBuffer<std::byte> workspace(workspace_bytes(tensors.shape, is_deterministic));
    launch_backward(tensors, outputs, {is_deterministic, workspace.data()}, nullptr);
    finish();
  };
}

void expect_all_near(const Problem& p) {
  const Expected expected(p);
  for (const bool is_deterministic : {false, true}) {
    SCOPED_TRACE(testing::Message() << "deterministic " << is_deterministic);
    const Results got = run(p, forward, backward(is_deterministic));
    expect_forward_near(got, expected);
    expect_gradients_near(got, expected);
  }
}

TEST_P(Schedules, AgreesWithTheReference) {
  for (const auto& s : small_shapes()) {
    SCOPED_TRACE(describe(s));
    expect_all_near(Problem(s));
  }
}

TEST_P(Schedules, VeryLargeLogits) {
  for (const int d_qk : {128, 192}) {
    const Problem p({{{70, 90}}, 2, 1, d_qk}, 1e5F);
    const Expected expected(p);
    EXPECT_GT(*std::ranges::max_element(expected.want.lse), 1e5);
    expect_forward_near(run_forward(p, forward), expected);
    expect_all_near(Problem({{{70, 90}}, 2, 1, d_qk}, 1e3F));  // fp32 lse: 2^-24 of it is off in every probability
  }
}

// Blocks of keys add to the same queries in the order of the schedule.
TEST(Attention, DeterministicGradientsAreTheSameBitsInAnyOrder) {
  const Problem p({{{150, 390}}, 2, 1, 128, false});
  std::vector<Results> of_schedule;
  for (const auto& options : ptx::schedules(7)) {
    ptx::set_options(options);
    of_schedule.push_back(run(p, forward, backward(true)));
  }
  const auto expect_same = [&](Elements Results::*gradient) {
    for (const Results& r : of_schedule)
      EXPECT_EQ(std::memcmp((r.*gradient).data(), (of_schedule[0].*gradient).data(), (r.*gradient).size() * 2), 0);
  };
  expect_same(&Results::grad_q);
  expect_same(&Results::grad_k);
  expect_same(&Results::grad_v);
}

TEST(Attention, LongSequences) {
  ptx::set_options({.counters = false});
  for (const auto& s : long_shapes()) {
    SCOPED_TRACE(describe(s));
    expect_all_near(Problem(s));
  }
}

TEST(Attention, TokensBeyondTwoToThe32Elements) {
  ptx::set_options({});
  Problem p({{{70, 50}}, 2, 1, 192});
  p.first_token_k = kFarToken;
  expect_all_near(p);
  p.first_token_q = kFarToken;  // the workspace of the backward pass would be as large
  expect_forward_near(run_forward(p, forward), Expected(p));
}

TEST(Attention, FewBankConflictsAndNoProductTooMany) {
  if (!ptx::executing()) GTEST_SKIP() << "a card counts nothing";
  for (const int d_qk : {128, 192}) {
    ptx::set_options({});
    ptx::reset_counters();
    const Problem p({{{256, 256}}, 1, 1, d_qk});
    run_forward(p, forward);
    const auto shared = counted().shared;
    EXPECT_LE(static_cast<double>(shared.wavefronts) / static_cast<double>(shared.ideal_wavefronts), 1.03) << d_qk;
    // Tiles of 128 queries x 48 keys: three and six, the rest is behind the diagonal.
    EXPECT_EQ(counted().instructions(ptx::Class::kMatrix), 9U * 128 * 48 * (d_qk + 128) / (16 * 8 * 16)) << d_qk;
    // Tiles of 128 keys: with 256 queries and with the last 128, or the other way round.
    for (const bool is_deterministic : {false, true}) {
      run(p, forward, [&](const Tensors& tensors, const Outputs& outputs) {
        ptx::reset_counters();
        backward(is_deterministic)(tensors, outputs);
      });
      const auto of_backward = counted().shared;
      EXPECT_LE(static_cast<double>(of_backward.wavefronts) / static_cast<double>(of_backward.ideal_wavefronts), 1.06);
      constexpr std::uint64_t kProductsOfATile = 8;  // per column of an operand: 128 x 128 of 16 x 8 x 16
      const std::uint64_t columns = is_deterministic ? 2U * (d_qk + 128) + 2U * d_qk + 128 : 3U * d_qk + 2U * 128;
      EXPECT_EQ(counted().instructions(ptx::Class::kMatrix), 3 * kProductsOfATile * columns) << d_qk;
    }
  }
}

}  // namespace
}  // namespace traincost::kernels::attention
