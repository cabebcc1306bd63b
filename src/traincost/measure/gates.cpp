#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <traincost/measure/bench_file.hpp>
#include <traincost/measure/quarantine.hpp>

namespace traincost::measure {
namespace {

constexpr double kSameTime = 0.01;    // rates are printed from the same median
constexpr double kNoise = 0.05;       // by which a cold launch may beat the mean of hot ones
constexpr double kRuggedness = 0.25;  // a library may serve a smaller shape with a worse kernel
constexpr double kCopyError = 0.05;
constexpr double kLeastCopyShare = 0.75;  // of the data sheet, where no copy is known; published ones reach 0.79-0.93

using Lines = std::vector<std::string>;

std::string shown(units::Seconds s) { return fmt::format("{:.2f} us", 1e6 * s.value); }

work::Dtype dtype_of(const BenchEntry& e) { return work::parse_dtype(e.text("dtype")).value_or(work::Dtype::bf16); }

void check_floor(Lines& out, const BenchEntry& e, const catalog::Chip& chip) {
  const auto flop = e.number("flop"), bytes = e.number("traffic_bytes");
  if (!flop || !bytes) return;
  const auto floor = floor_seconds(units::Flops{*flop}, units::Bytes{*bytes}, dtype_of(e), chip);
  if (e.latency < kFloorSlack * floor)
    out.push_back(
        fmt::format("{}: {} is less than its floor of {} on {}", e.name, shown(e.latency), shown(floor), chip.id));
}

void check_rate(Lines& out, const BenchEntry& e, const char* amount, const char* rate) {
  const auto a = e.number(amount), r = e.number(rate);
  if (!a || !r || *a <= 0) return;
  const double implied = *a / *r;
  if (std::fabs(implied / e.latency.value - 1) > kSameTime)
    out.push_back(fmt::format("{}: {} says {}, the time is {}", e.name, rate, shown({implied}), shown(e.latency)));
}

// What two rows must share to be compared, and what may differ.
const std::set<std::string> kShape{"m",      "n",    "k",    "b",           "s_q",    "s_kv",   "h_q",
                                   "h_kv",   "d_qk", "d_v",  "rows",        "bytes",  "hidden", "width",
                                   "tokens", "topk", "gpus", "num_experts", "blocks", "columns"};

std::string group(const BenchEntry& e, bool with_mode) {
  std::string key = e.text("case") + "/" + e.text("provider") + "/" + e.text("dtype") + "/" + e.text("pass") + "/" +
                    e.text("is_causal") + "/" + e.text("kind");
  if (with_mode) key += "/" + e.text("mode");
  for (const auto& name : kShape) key += e.number(name) ? "/" + name : "";
  return key;
}

std::vector<double> sizes(const BenchEntry& e) {
  std::vector<double> out;
  for (const auto& name : kShape)
    if (const auto value = e.number(name)) out.push_back(*value);
  return out;
}

std::string without_mode(const BenchEntry& e) {
  const auto name = e.name.substr(0, e.name.find("/iterations:"));
  return name.substr(0, name.rfind('/'));
}

void check_cold(Lines& out, const std::vector<BenchEntry>& entries) {
  std::map<std::string, const BenchEntry*> hot;
  for (const auto& e : entries)
    if (e.text("mode") == "hot") hot[without_mode(e)] = &e;
  for (const auto& e : entries) {
    if (e.text("mode") != "cold") continue;
    const auto other = hot.find(without_mode(e));
    if (other != hot.end() && e.latency < (1 - kNoise) * other->second->latency)
      out.push_back(
          fmt::format("{}: {} cold is less than {} hot", e.name, shown(e.latency), shown(other->second->latency)));
  }
}

bool is_larger(const std::vector<double>& a, const std::vector<double>& b) {
  return a != b && std::ranges::equal(a, b, std::greater_equal{});
}

void check_monotone(Lines& out, const std::vector<BenchEntry>& entries) {
  std::map<std::string, std::vector<std::pair<std::vector<double>, const BenchEntry*>>> groups;
  for (const auto& e : entries)
    if (auto size = sizes(e); !size.empty()) groups[group(e, true)].emplace_back(std::move(size), &e);
  for (const auto& [key, rows] : groups)
    for (const auto& [large, more] : rows)
      for (const auto& [small, less] : rows)
        if (is_larger(large, small) && more->latency < (1 - kRuggedness) * less->latency)
          out.push_back(fmt::format("{}: {} is less than {} of the smaller {}", more->name, shown(more->latency),
                                    shown(less->latency), less->name));
}

// The largest cold copy against the rate that is known of the chip.
void check_copy(Lines& out, const BenchFile& file, const catalog::Chip& chip, const CopyRates& known) {
  const BenchEntry* largest = nullptr;
  for (const auto& e : file.entries)
    if (e.text("case") == "copy" && e.text("mode") == "cold" &&
        (largest == nullptr || *e.number("traffic_bytes") > *largest->number("traffic_bytes")))
      largest = &e;
  if (largest == nullptr || !chip.memory_bytes_per_s) return;
  const double rate = *largest->number("traffic_bytes") / largest->latency.value;
  const auto at = known.find(chip.id);
  const double low =
      at != known.end() ? (1 - kCopyError) * at->second.value : kLeastCopyShare * chip.memory_bytes_per_s->value;
  const double high = at != known.end() ? (1 + kCopyError) * at->second.value : chip.memory_bytes_per_s->value;
  if (rate < low || rate > high)
    out.push_back(fmt::format("{}: copies {:.0f} GB/s, expected {:.0f} to {:.0f} on {}", largest->name, rate / 1e9,
                              low / 1e9, high / 1e9, chip.id));
}

}  // namespace

CopyRates copy_rates(const std::vector<Row>& published, const std::vector<catalog::Chip>& chips) {
  std::map<std::string, std::vector<double>> rates;
  for (const auto& row : published) {
    const auto* chip = catalog::find_chip(chips, row.chip);
    const auto* stream = std::get_if<work::Stream>(&row.op);
    if (chip != nullptr && stream != nullptr && row.provider.find("Copy") != std::string::npos)
      rates[chip->id].push_back(stream->bytes / row.latency.value);
  }
  CopyRates out;
  for (auto& [id, all] : rates) {
    std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2));
    out[id] = {all[all.size() / 2]};
  }
  return out;
}

std::vector<std::string> failed_gates(const BenchFile& file, const std::vector<catalog::Chip>& chips,
                                      const CopyRates& known) {
  const auto* chip = catalog::find_chip(chips, file.chip);
  if (chip == nullptr) return {fmt::format("chip = \"{}\", expected one of the catalogue", file.chip)};
  Lines out;
  for (const auto& e : file.entries) {
    check_floor(out, e, *chip);
    check_rate(out, e, "flop", "flop_per_s");
    check_rate(out, e, "traffic_bytes", "bytes_per_s");
  }
  check_cold(out, file.entries);
  check_monotone(out, file.entries);
  check_copy(out, file, *chip, known);
  return out;
}

}  // namespace traincost::measure
