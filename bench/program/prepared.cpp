#include <fmt/format.h>

#include <bench/program/backend.hpp>
#include <kernels/common/cuda_check.hpp>

namespace traincost::bench {
namespace {

std::string launch_and_compare(const Prepared& p) {
  const auto& instance = p.instances.front();
  instance.launch(nullptr);
  TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());
  const auto d = instance.deviation();
  if (kernels::is_within(d, p.kernel_case->tolerance)) return "";
  return fmt::format("wrong answer: absolute {:.3g}, relative {:.3g}, cosine {:.3g}{}", d.absolute, d.relative,
                     d.cosine, d.is_exact ? "" : ", not exact");
}

}  // namespace

std::string mismatch(Prepared& prepared) {
  if (!prepared.mismatch) prepared.mismatch = launch_and_compare(prepared);
  return *prepared.mismatch;
}

}  // namespace traincost::bench
