#include <gtest/gtest.h>

#include <type_traits>

#include <traincost/units/quantity.hpp>

namespace traincost::units {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) { a + b; };

static_assert(Addable<Seconds, Seconds>);
static_assert(!Addable<Seconds, Dollars>, "unlike dimensions must not add");
static_assert(!Addable<Bytes, Flops>);
static_assert(!std::is_convertible_v<double, Seconds>, "a raw number has no unit");
static_assert(std::is_same_v<decltype(Flops{1} / FlopsPerSecond{1}), Seconds>);
static_assert(std::is_same_v<decltype(Watts{1} * Seconds{1}), Joules>);
static_assert(std::is_same_v<decltype(Seconds{1} / Seconds{1}), double>);

TEST(Quantity, ARatioOfWorkAndRateIsATime) {
  const Seconds t = Flops{2e15} / FlopsPerSecond{1e15};
  EXPECT_DOUBLE_EQ(t.value, 2.0);
  EXPECT_DOUBLE_EQ((kYear / kHour), 8766.0);
}

TEST(Quantity, MaxAndMinKeepTheDimension) {
  EXPECT_EQ(max(Seconds{1}, Seconds{3}), Seconds{3});
  EXPECT_EQ(min(Seconds{1}, Seconds{3}), Seconds{1});
}

}  // namespace
}  // namespace traincost::units
