#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include <traincost/measure/bench_file.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {
using Json = nlohmann::json;
using TextFields = std::map<std::string, std::string>;

bool is_true(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return false;
  if (at->is_boolean()) return at->get<bool>();
  if (at->is_number()) return at->get<double>() != 0;
  return at->is_string() && *at != "false" && *at != "0" && !at->get_ref<const std::string&>().empty();
}

void refuse_simulated(const Json& object, const std::string& where) {
  if (is_true(object, "simulated"))
    throw InputError(fmt::format("{}: simulated, expected a run on a real chip", where));
}

double seconds_per(const std::string& unit, const std::string& where) {
  if (unit == "ns") return 1e-9;
  if (unit == "us") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "s") return 1;
  throw InputError(fmt::format("{}: time_unit = \"{}\", expected ns, us, ms or s", where, unit));
}

void add_scalars(TextFields& fields, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_number()) fields[key] = fmt::format("{}", value.get<double>());
    if (value.is_string()) fields[key] = value.get<std::string>();
    if (value.is_boolean()) fields[key] = value.get<bool>() ? "1" : "0";
  }
}

void add_label(TextFields& fields, const std::string& label) {
  std::istringstream words(label);
  for (std::string word; words >> word;)
    if (const auto equals = word.find('='); equals != std::string::npos)
      fields[word.substr(0, equals)] = word.substr(equals + 1);
}

BenchEntry entry(const Json& benchmark, const Json& context, const std::string& origin) {
  BenchEntry out{.name = benchmark.value("name", "a benchmark"), .fields = {}, .latency = {}};
  const auto where = fmt::format("{}: {}", origin, out.name);
  refuse_simulated(benchmark, where);
  add_scalars(out.fields, context);
  add_scalars(out.fields, benchmark);
  add_label(out.fields, benchmark.value("label", ""));
  out.latency = {benchmark.contains("latency_s") ? benchmark.at("latency_s").get<double>()
                                                 : benchmark.at("real_time").get<double>() *
                                                       seconds_per(benchmark.value("time_unit", "ns"), where)};
  return out;
}

}  // namespace

std::string BenchEntry::text(const std::string& key) const {
  const auto at = fields.find(key);
  return at == fields.end() ? "" : at->second;
}

std::optional<double> BenchEntry::number(const std::string& key) const { return parse_number(text(key)); }

BenchFile parse_bench_file(std::string_view json, const std::string& origin) {
  try {
    const auto parsed = Json::parse(json);
    const auto& context = parsed.at("context");
    refuse_simulated(context, origin);
    BenchFile file{.origin = origin, .chip = context.value("chip", ""), .entries = {}};
    for (const auto& benchmark : parsed.at("benchmarks"))
      if (benchmark.value("run_type", "iteration") == "iteration" && !is_true(benchmark, "error_occurred"))
        file.entries.push_back(entry(benchmark, context, origin));
    return file;
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: {}", origin, error.what()));
  }
}

BenchFile read_bench_file(const std::string& path) { return parse_bench_file(read_text(path), path); }

}  // namespace traincost::measure
