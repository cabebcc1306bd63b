#include <gtest/gtest.h>

#include <traincost/cost/validate_trace.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

calibrate::Validation shipped() {
  return validate_trace(measure::read_csv(TRAINCOST_SOURCE_DIR "/results/published/deepseek_v3_trace.csv"),
                        calibrate::default_efficiency());
}

// The sums that the trace's own attribution gives, in ms.
TEST(Trace, KernelsFallIntoTheirClasses) {
  const auto rows = shipped().rows;
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_NEAR(*rows[0].reported, 75.0, 0.6);  // GEMMs
  EXPECT_NEAR(*rows[1].reported, 22.0, 0.1);  // attention
  EXPECT_NEAR(*rows[2].reported, 80.5, 0.1);  // dispatch and combine
}

TEST(Trace, ThePairIsWithinAQuarter) {
  const auto pair = shipped().rows.back();
  EXPECT_NEAR(*pair.predicted, *pair.reported, 0.25 * *pair.reported);
}

TEST(Trace, AFileWithoutItsColumnsIsRefused) {
  EXPECT_THROW(validate_trace(measure::parse_csv("a,b\n1,2\n", "x.csv"), calibrate::default_efficiency()), InputError);
}

}  // namespace
}  // namespace traincost::cost
