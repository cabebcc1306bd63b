#include <cstdio>

#include <traincost/catalog/cluster.hpp>
#include <traincost/cost/estimate.hpp>

int main() {
  using namespace traincost;
  const auto* chip = catalog::find_chip(catalog::chips(), "h800-sxm5-80gb");
  const auto* model = catalog::find_model(catalog::models(), "deepseek-v3");
  const auto run = cost::estimate(
      {.model = *model, .chip = *chip, .cluster = catalog::default_cluster(*chip), .gpus = 2048, .tokens = 14.8e12},
      calibrate::default_efficiency(), catalog::prices(), catalog::operating());
  std::printf("%.1f days, %.0f USD\n", run.budget.days.p50, run.budget.usd.p50);
}
