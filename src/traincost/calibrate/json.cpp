#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include <traincost/calibrate/fitted.hpp>
#include <traincost/units/error.hpp>

namespace traincost::calibrate {
namespace {
using Json = nlohmann::json;

constexpr double kGridStep = 1e-3;  // ln: a tenth of a per cent, far below what a fit leaves
constexpr int kVersion = 3;

// Shortest text with so many significant digits.
double rounded(double value, int digits = 4) { return std::stod(fmt::format("{:.{}g}", value, digits)); }

template <class Values>
Json rounded_all(const Values& values, int digits = 4) {
  auto out = Json::array();
  for (double v : values) out.push_back(rounded(v, digits));
  return out;
}

Json to_json(const Grid& grid) {
  auto axes = Json::array();
  for (const auto& axis : grid.axes) axes.push_back(rounded_all(axis, 6));
  auto values = Json::array();
  for (double v : grid.values) values.push_back(std::lround(v / kGridStep));
  return {{"axes_log2", std::move(axes)}, {"milli_ln", std::move(values)}};
}

Json to_json(const Surface& s) {
  return {{"kind", to_string(s.kind)},
          {"dtype", work::to_string(s.dtype)},
          {"chip", s.chip},
          {"shapes", s.shapes},
          {"trend", rounded_all(to_vector(s.trend))},
          {"residual", rounded_all(std::array{s.residual.p5, s.residual.p50, s.residual.p95})},
          {"residual_sigma", rounded(s.residual_sigma)},
          {"provider_sigma", rounded(s.provider_sigma)},
          {"watts_per_flops", s.watts_per_flops},  // exact: like chips are alike
          {"grid", to_json(s.grid)},
          {"sm_count", s.sm_count},
          {"profile", to_json(s.profile)}};
}

template <class Enum>
Enum parsed(std::optional<Enum> value, const Json& text, const char* what) {
  if (!value) throw InputError(fmt::format("{}: expected {}", text.dump(), what));
  return *value;
}

double finite(const Json& json) {
  const double value = json.get<double>();
  if (!std::isfinite(value)) throw InputError(fmt::format("{}: expected a finite number", json.dump()));
  return value;
}

std::vector<double> finite_all(const Json& json) {
  std::vector<double> out;
  for (const auto& v : json) out.push_back(finite(v));
  return out;
}

Grid grid_from(const Json& json) {
  Grid grid;
  for (const auto& axis : json.at("axes_log2")) {
    grid.axes.push_back(finite_all(axis));
    const auto& nodes = grid.axes.back();
    if (nodes.empty() || std::adjacent_find(nodes.begin(), nodes.end(), std::greater_equal<>{}) != nodes.end())
      throw InputError("axes_log2: expected ascending nodes");
  }
  if (grid.axes.size() > kCoordinates) throw InputError("axes_log2: more axes than coordinates");
  for (const auto& v : json.at("milli_ln")) grid.values.push_back(finite(v) * kGridStep);
  const std::size_t expected = grid.axes.empty() ? 0 : node_count(grid);
  if (grid.values.size() != expected)
    throw InputError(fmt::format("milli_ln: {} values, expected {}", grid.values.size(), expected));
  return grid;
}

Surface surface_from(const Json& json) {
  const auto residual = finite_all(json.at("residual"));
  const auto trend = finite_all(json.at("trend"));
  if (residual.size() != 3 || trend.size() != kTrendParameters) throw InputError("surface: wrong number of figures");
  TrendVector vector;
  std::copy(trend.begin(), trend.end(), vector.begin());
  return {.kind = parsed(parse_kind(json.at("kind").get<std::string>()), json.at("kind"), "a kind"),
          .dtype = parsed(work::parse_dtype(json.at("dtype").get<std::string>()), json.at("dtype"), "a format"),
          .chip = json.at("chip"),
          .trend = from_vector(vector),
          .grid = grid_from(json.at("grid")),
          .profile = grid_from(json.at("profile")),
          .sm_count = finite(json.at("sm_count")),
          .watts_per_flops = finite(json.at("watts_per_flops")),
          .shapes = json.at("shapes"),
          .residual = {residual[0], residual[1], residual[2]},
          .residual_sigma = finite(json.at("residual_sigma")),
          .provider_sigma = finite(json.at("provider_sigma"))};
}

Efficiency::Fitted fitted_from(const Json& json) {
  if (json.at("version") != kVersion)
    throw InputError(fmt::format("version {}: expected {}", json.at("version").dump(), kVersion));
  Efficiency::Fitted fitted;
  for (const auto& d : json.at("chips"))
    fitted.donors.push_back({.chip = d.at("id"),
                             .arch = d.at("arch"),
                             .pool = d.at("pool"),
                             .bf16_flops_per_s = finite(d.at("bf16_flops_per_s")),
                             .bytes_per_s = finite(d.at("memory_bytes_per_s"))});
  for (const auto& r : json.at("ratios"))
    fitted.ratios.push_back({.name = r.at("name"),
                             .arch = r.at("arch"),
                             .value = finite(r.at("value")),
                             .log_sigma = finite(r.at("log_sigma")),
                             .rows = r.at("rows")});
  for (const auto& t : json.at("transfers"))
    fitted.transfers.push_back({.kind = parsed(parse_kind(t.at("kind").get<std::string>()), t.at("kind"), "a kind"),
                                .sibling_sigma = finite(t.at("sibling_sigma")),
                                .pooled_sigma = finite(t.at("pooled_sigma"))});
  for (const auto& s : json.at("surfaces")) fitted.surfaces.push_back(surface_from(s));
  return fitted;
}

}  // namespace

std::string to_json(const Efficiency& efficiency) {
  const auto& fitted = efficiency.fitted();
  Json out{{"version", kVersion},
           {"credit", "kernel timings of ai-dynamo/aiconfigurator (Apache-2.0) and published figures; see NOTICE"}};
  out["chips"] = out["ratios"] = out["transfers"] = out["surfaces"] = Json::array();
  for (const auto& d : fitted.donors)
    out["chips"].push_back({{"id", d.chip},
                            {"arch", d.arch},
                            {"pool", d.pool},
                            {"bf16_flops_per_s", rounded(d.bf16_flops_per_s)},
                            {"memory_bytes_per_s", rounded(d.bytes_per_s)}});
  for (const auto& r : fitted.ratios)
    out["ratios"].push_back({{"name", r.name},
                             {"arch", r.arch},
                             {"value", rounded(r.value)},
                             {"log_sigma", rounded(r.log_sigma)},
                             {"rows", r.rows}});
  for (const auto& t : fitted.transfers)
    out["transfers"].push_back({{"kind", to_string(t.kind)},
                                {"sibling_sigma", rounded(t.sibling_sigma)},
                                {"pooled_sigma", rounded(t.pooled_sigma)}});
  for (const auto& s : fitted.surfaces) out["surfaces"].push_back(to_json(s));
  return out.dump() + "\n";
}

Efficiency from_json(std::string_view json, const std::string& origin) {
  try {
    return Efficiency(std::make_shared<Efficiency::Fitted>(fitted_from(Json::parse(json))));
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: {}", origin, error.what()));
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", origin, error.what()));
  }
}

}  // namespace traincost::calibrate
