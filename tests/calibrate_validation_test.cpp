#include <gtest/gtest.h>

#include <traincost/calibrate/validation.hpp>

namespace traincost::calibrate {
namespace {

ValidationRow row(double predicted, double reported, const std::string& family) {
  return {.id = "r",
          .family = family,
          .predicted = predicted,
          .reported = reported,
          .unit = "s",
          .low = predicted * 0.8,
          .high = predicted * 1.25};
}

TEST(Validation, SummarisesScoredRowsOnly) {
  ValidationRow skipped{.id = "s", .family = "b", .reported = 3, .unit = "s", .skipped = "no chip"};
  ValidationRow unreported{.id = "u", .family = "b", .predicted = 3, .unit = "s"};
  const auto v = validation({row(11, 10, "a"), row(8, 10, "a"), row(20, 10, "b"), skipped, unreported});
  EXPECT_EQ(v.rows.size(), 5u);
  EXPECT_EQ(v.summary.n, 3u);
  EXPECT_EQ(v.skipped, 1u);
  EXPECT_NEAR(v.summary.median_abs_error, 0.2, 1e-12);
  EXPECT_NEAR(v.summary.mape, (0.1 + 0.2 + 1.0) / 3, 1e-12);
  EXPECT_NEAR(v.summary.bias, 0.1, 1e-12);
  EXPECT_NEAR(v.summary.coverage90.value_or(0), 2.0 / 3, 1e-12);
  EXPECT_NEAR(v.by_family.at("a").bias, -0.05, 1e-12);
  EXPECT_EQ(v.by_family.at("b").n, 1u);
}

TEST(Validation, NothingScoredIsNoError) { EXPECT_EQ(validation({}).summary.n, 0u); }

}  // namespace
}  // namespace traincost::calibrate
