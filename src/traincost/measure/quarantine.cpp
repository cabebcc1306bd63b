#include <traincost/measure/quarantine.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::measure {
namespace {

// L2 over memory rate: 2.1 on H200, 2.7 on A100, 3.4 on H100 PCIe (gpu-l2-cache, RRZE-HPC/gpu-benches).
constexpr double kCacheSpeedup = 4;
constexpr double kUnknownCacheBytes = 128e6;  // no chip in the tables has more than B200's
constexpr double kWrongUnit = 1000;           // times the floor (beyond 10 ms): milliseconds read as seconds
constexpr double kWrongUnitSeconds = 10e-3;

double traffic_floor(double bytes, const catalog::Chip& chip) {
  if (!chip.memory_bytes_per_s) return 0;
  const double cached = std::min(bytes, chip.l2_bytes ? chip.l2_bytes->value : kUnknownCacheBytes);
  return (bytes - cached + cached / kCacheSpeedup) / chip.memory_bytes_per_s->value;
}

// Reduction inside the switch (NVLS): each GPU sends and receives the buffer once instead of nearly twice.
double link_bytes(const work::Op& op, work::Dtype dtype) {
  if (const auto* c = std::get_if<work::Collective>(&op); c && c->kind == work::CollectiveKind::all_reduce)
    return std::min(c->bytes, work::bytes(op, dtype).value);
  return work::bytes(op, dtype).value;
}

double arithmetic_floor(const work::Op& op, work::Dtype dtype, const catalog::Chip& chip) {
  if (std::holds_alternative<work::Quantize>(op)) return 0;  // not on the tensor cores
  const double flops = work::flops(op).value;
  // Kernels over an fp8 cache may multiply in fp8 too.
  const auto* decode = std::get_if<work::Decode>(&op);
  const auto rate = catalog::rate(chip, decode && decode->kv_dtype == work::Dtype::fp8 ? work::Dtype::fp8 : dtype);
  return flops > 0 && rate ? flops / rate->flops_per_s.value : 0;
}

bool is_link_op(const work::Op& op) {
  return std::holds_alternative<work::Collective>(op) || std::holds_alternative<work::MoeExchange>(op);
}

std::string judge(const Row& row, const catalog::Chip& chip) {
  const double seconds = row.latency.value;
  if (!(seconds > 0)) return "latency is not positive";
  const auto rate = catalog::rate(chip, row.dtype);
  if (!is_link_op(row.op) && rate && work::bytes_per_element(rate->used) > work::bytes_per_element(row.dtype))
    return "the chip has no such format";
  const double floor = floor_seconds(row.op, row.dtype, chip).value;
  if (seconds < kFloorSlack * floor) {
    if (is_link_op(row.op)) return "faster than the link";
    return seconds < kFloorSlack * arithmetic_floor(row.op, row.dtype, chip) ? "faster than its arithmetic"
                                                                             : "faster than its memory traffic";
  }
  if (floor > 0 && seconds > kWrongUnit * floor + kWrongUnitSeconds) return "a thousand times its floor: wrong unit?";
  return {};
}

}  // namespace

units::Seconds floor_seconds(const work::Op& op, work::Dtype dtype, const catalog::Chip& chip) {
  if (is_link_op(op)) {
    const auto link = chip.link_bytes_per_s ? chip.link_bytes_per_s : chip.host_bytes_per_s;
    return {link ? link_bytes(op, dtype) / link->value : 0};
  }
  return {std::max(arithmetic_floor(op, dtype, chip), traffic_floor(work::bytes(op, dtype).value, chip))};
}

units::Seconds floor_seconds(units::Flops flops, units::Bytes bytes, work::Dtype dtype, const catalog::Chip& chip) {
  const auto rate = catalog::rate(chip, dtype);
  const double arithmetic = rate ? (flops / rate->flops_per_s).value : 0;
  return {std::max(arithmetic, traffic_floor(bytes.value, chip))};
}

Screened screen(std::vector<Row> rows, const std::vector<catalog::Chip>& chips) {
  Screened out;
  std::map<std::string, const catalog::Chip*> known;
  for (auto& row : rows) {
    auto [at, is_new] = known.emplace(row.chip, nullptr);
    if (is_new) at->second = catalog::find_chip(chips, row.chip);
    const auto* chip = at->second;
    row.is_resolved = chip != nullptr;
    if (chip == nullptr) {
      out.rows.push_back(std::move(row));
      continue;
    }
    row.chip = chip->id;
    auto reason = judge(row, *chip);
    if (reason.empty())
      out.rows.push_back(std::move(row));
    else
      out.quarantined.push_back({std::move(row), std::move(reason)});
  }
  return out;
}

std::map<std::string, std::size_t> count_by_reason(const std::vector<Quarantined>& quarantined) {
  std::map<std::string, std::size_t> counts;
  for (const auto& q : quarantined) ++counts[q.reason];
  return counts;
}

}  // namespace traincost::measure
