#include <cstdio>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/work/op.hpp>

int main() {
  using namespace traincost;
  const auto* chip = catalog::find_chip(catalog::chips(), "h800-sxm5-80gb");
  const auto* model = catalog::find_model(catalog::models(), "deepseek-v3");
  if (chip == nullptr || model == nullptr) return 1;
  const auto flops = work::flops(work::Gemm{.m = 4096, .n = 7168, .k = model->hidden});
  std::printf("%s: %.0f us at peak\n", chip->name.c_str(), (flops / *chip->bf16_dense_flops).value * 1e6);
  return 0;
}
