#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include <traincost/measure/google_benchmark.hpp>
#include <traincost/measure/row_record.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {
using Json = nlohmann::json;
using Fields = std::map<std::string, std::string>;

bool is_true(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return false;
  if (at->is_boolean()) return at->get<bool>();
  if (at->is_number()) return at->get<double>() != 0;
  return at->is_string() && *at != "false" && *at != "0" && !at->get_ref<const std::string&>().empty();
}

double seconds_per(const std::string& unit, const std::string& where) {
  if (unit == "ns") return 1e-9;
  if (unit == "us") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "s") return 1;
  throw InputError(fmt::format("{}: time_unit = \"{}\", expected ns, us, ms or s", where, unit));
}

void add_scalars(Fields& fields, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_number()) fields[key] = fmt::format("{}", value.get<double>());
    if (value.is_string()) fields[key] = value.get<std::string>();
    if (value.is_boolean()) fields[key] = value.get<bool>() ? "1" : "0";
  }
}

void add_label(Fields& fields, const std::string& label) {
  std::istringstream words(label);
  for (std::string word; words >> word;)
    if (const auto equals = word.find('='); equals != std::string::npos)
      fields[word.substr(0, equals)] = word.substr(equals + 1);
}

Row row_of(const Fields& fields, const std::string& where) {
  std::map<std::string_view, std::size_t> columns;
  std::vector<std::string_view> values;
  for (const auto& [key, value] : fields) {
    columns.emplace(key, values.size());
    values.push_back(value);
  }
  return make_row({columns, values, where});
}

Row entry(const Json& benchmark, const Json& context, const std::string& origin) {
  const auto where = fmt::format("{}: {}", origin, benchmark.value("name", "a benchmark"));
  if (is_true(benchmark, "simulated"))
    throw InputError(fmt::format("{}: simulated, expected a run on a real chip", where));
  Fields fields;
  add_scalars(fields, context);
  add_scalars(fields, benchmark);
  add_label(fields, benchmark.value("label", ""));
  if (!fields.contains("latency_s"))
    fields["latency_s"] = fmt::format(
        "{}", benchmark.at("real_time").get<double>() * seconds_per(benchmark.value("time_unit", "ns"), where));
  if (!fields.contains("source")) fields["source"] = origin;
  return row_of(fields, where);
}

}  // namespace

std::vector<Row> parse_google_benchmark(std::string_view json, const std::string& origin) {
  try {
    const auto parsed = Json::parse(json);
    const auto& context = parsed.at("context");
    if (is_true(context, "simulated"))
      throw InputError(fmt::format("{}: simulated, expected a run on a real chip", origin));
    std::vector<Row> rows;
    for (const auto& benchmark : parsed.at("benchmarks"))
      if (benchmark.value("run_type", "iteration") == "iteration" && !is_true(benchmark, "error_occurred"))
        rows.push_back(entry(benchmark, context, origin));
    return rows;
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: {}", origin, error.what()));
  }
}

}  // namespace traincost::measure
