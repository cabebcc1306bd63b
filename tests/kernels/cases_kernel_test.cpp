// What the benchmark runs: each case's own provider on its smallest shape, judged by the case's own tolerance.
#include <gtest/gtest.h>

#include <algorithm>

#include <kernels/common/cuda_check.hpp>
#include <kernels/registry.hpp>
#include <ptx/ptx.hpp>

namespace traincost::kernels {
namespace {

std::size_t smallest(const Case& c) {
  const auto size = [](const Shape& s) { return s.flops.value + s.bytes.value; };
  return static_cast<std::size_t>(std::ranges::min_element(c.shapes, {}, size) - c.shapes.begin());
}

class Cases : public testing::TestWithParam<std::size_t> {};

TEST_P(Cases, OurProviderAgreesWithTheReference) {
  const Case& c = cases().at(GetParam());
  const std::size_t shape = smallest(c);
  SCOPED_TRACE(c.name + ", " + c.shapes[shape].label);
  if (c.providers.front().min_compute_capability > 80) GTEST_SKIP() << "the executor runs sm_80 here";
  if (c.providers.front().why_not) GTEST_SKIP() << c.providers.front().why_not();
  ptx::Options options;
  options.counters = false;
  ptx::set_options(options);
  const Instance instance = c.providers.front().prepare(shape);
  EXPECT_FALSE(is_within(instance.deviation(), c.tolerance)) << "nothing has been launched yet";
  instance.launch(nullptr);
  TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());
  const Deviation d = instance.deviation();
  EXPECT_TRUE(is_within(d, c.tolerance)) << "absolute " << d.absolute << ", relative " << d.relative << ", cosine "
                                         << d.cosine << ", exact " << d.is_exact;
}

INSTANTIATE_TEST_SUITE_P(All, Cases, testing::Range(std::size_t{0}, cases().size()),
                         [](const auto& info) { return cases().at(info.param).name; });

}  // namespace
}  // namespace traincost::kernels
