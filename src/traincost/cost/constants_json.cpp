#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <traincost/catalog/embedded.hpp>
#include <traincost/cost/fit_constants.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

constexpr std::string_view kFile = "step.json";
constexpr std::string_view kSigma = "step_log_sigma";

double read(const nlohmann::json& json, std::string_view name, double low, double high, const std::string& origin) {
  const auto found = json.find(name);
  if (found == json.end()) throw InputError(fmt::format("{}: missing key '{}'", origin, name));
  if (!found->is_number() || !(found->get<double>() >= low && found->get<double>() <= high))
    throw InputError(
        fmt::format("{}: {} = {}: expected a number from {} to {}", origin, name, found->dump(), low, high));
  return found->get<double>();
}

}  // namespace

std::string to_json(const Constants& constants) {
  nlohmann::ordered_json json;
  for (const auto& field : constant_fields()) json[std::string(field.name)] = constants.*field.member;
  json[std::string(kSigma)] = constants.step_log_sigma;
  return json.dump(2) + "\n";
}

Constants constants_from_json(std::string_view text, const std::string& origin) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(fmt::format("{}: not JSON: {}", origin, error.what()));
  }
  if (!json.is_object()) throw InputError(fmt::format("{}: expected an object of constants", origin));
  Constants constants;
  for (const auto& field : constant_fields())
    constants.*field.member = read(json, field.name, field.low, field.high, origin);
  constants.step_log_sigma = read(json, kSigma, 0, 1, origin);
  if (json.size() != constant_fields().size() + 1)
    throw InputError(fmt::format("{}: {} keys, expected {}", origin, json.size(), constant_fields().size() + 1));
  return constants;
}

const Constants& default_constants() {
  static const Constants kConstants = [] {
    for (const auto& file : catalog::embedded_calibration())
      if (file.name == kFile) return constants_from_json(file.text, std::string(kFile));
    return Constants{};
  }();
  return kConstants;
}

}  // namespace traincost::cost
