#include <traincost/cost/validate_trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include <traincost/cost/estimate.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using units::Seconds;

constexpr double kTracedLayers = 4;
constexpr double kPairMilliseconds = 129.0;  // span of the trace (deepseek-ai/profile-data, train.json)

enum class Class { gemm, attention, exchange, rest, waiting };
constexpr std::array<const char*, 4> kNames{"GEMMs", "attention", "dispatch and combine", "casts, norms and the rest"};

Class class_of(const std::string& kernel) {
  const auto has = [&](const char* part) { return kernel.find(part) != std::string::npos; };
  if (has("notify")) return Class::waiting;
  if (has("GemmKernel") || has("_gemm_")) return Class::gemm;
  if (has("flash::")) return Class::attention;
  if (has("internode::dispatch") || has("internode::combine")) return Class::exchange;
  return Class::rest;
}

std::size_t required_column(const measure::CsvTable& table, const char* name) {
  const auto at = measure::column(table, name);
  if (!at)
    throw InputError(fmt::format("{}: no column '{}': expected the columns of a kernel trace", table.origin, name));
  return *at;
}

std::map<Class, double> measured_milliseconds(const measure::CsvTable& trace) {
  const auto kernel = required_column(trace, "kernel"), total = required_column(trace, "total_ms");
  std::map<Class, double> sums;
  for (std::size_t i = 0; i < trace.rows.size(); ++i)
    sums[class_of(trace.rows[i][kernel])] += measure::number(trace, i, total).value_or(0);
  return sums;
}

LayerTimes predicted_layer(const calibrate::Efficiency& efficiency) {
  const auto* model = catalog::find_model(catalog::models(), "deepseek-v3");
  const auto* chip = catalog::find_chip(catalog::chips(), "h800-sxm5-80gb");
  const Job job = published_job(*model, *chip, catalog::default_cluster(*chip));
  return layer_times(job, true, efficiency.on(*chip));
}

std::map<Class, double> predicted_milliseconds(const LayerTimes& layer) {
  std::map<Class, double> sums;
  // The exchange beside them takes SMs and bandwidth from the compute kernels: what the model adds to the pair for it
  // lies in the length of each.
  Seconds compute;
  for (const Seconds seconds : layer.by_role) compute += seconds;
  const double contention = std::max(1.0, layer.pair / compute);
  for (std::size_t i = 0; i < kRoles; ++i) {
    const auto role = static_cast<Role>(i);
    const auto to = role == Role::attention                               ? Class::attention
                    : role == Role::elementwise || role == Role::quantize ? Class::rest
                                                                          : Class::gemm;
    sums[to] += kTracedLayers * contention * (layer.by_role[i] / units::kMillisecond);
  }
  sums[Class::exchange] = kTracedLayers * (layer.exchange / units::kMillisecond);
  return sums;
}

}  // namespace

calibrate::Validation validate_trace(const measure::CsvTable& trace, const calibrate::Efficiency& efficiency) {
  const auto measured = measured_milliseconds(trace);
  const auto layer = predicted_layer(efficiency);
  const auto predicted = predicted_milliseconds(layer);
  std::vector<calibrate::ValidationRow> rows;
  const auto add = [&](const char* name, double ours, double theirs) {
    rows.push_back({.id = name, .family = name, .predicted = ours, .reported = theirs, .unit = "ms"});
  };
  for (std::size_t c = 0; c < kNames.size(); ++c) {
    const auto at = measured.find(static_cast<Class>(c));
    add(kNames[c], predicted.at(static_cast<Class>(c)), at == measured.end() ? 0 : at->second);
  }
  add("the pair, overlapped", kTracedLayers * (layer.pair / units::kMillisecond), kPairMilliseconds);
  return calibrate::validation(std::move(rows));
}

}  // namespace traincost::cost
