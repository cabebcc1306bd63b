#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include <traincost/catalog/cluster.hpp>
#include <traincost/cost/interval.hpp>
#include <traincost/cost/kernel_row.hpp>
#include <traincost/cost/kernel_workload.hpp>
#include <traincost/cost/network.hpp>
#include <traincost/cost/validate_kernels.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using calibrate::Timing;
using calibrate::ValidationRow;

// ln(real / predicted) that the choice among public implementations adds, beyond the spread of the providers in the
// measured tables: published figures come from kernels of all ages. Robust spread over results/published/kernels.csv.
constexpr double kImplementationSigma = 0.25;
constexpr double kAssumedSigma = 0.15;  // per field that had to be assumed

/// A chip with its surfaces and the cluster it is usually sold in, made once.
struct Machine {
  catalog::Chip chip;
  catalog::Cluster cluster;
  calibrate::ChipEfficiency efficiency;
};

Timing time(const WorkloadOp& item, const Machine& machine) {
  const Network network(machine.cluster, machine.chip, machine.efficiency, default_constants());
  const auto group = [&machine](double gpus) {
    return Group{.gpus = gpus, .local = std::min(gpus, machine.cluster.scale_up_gpus)};
  };
  if (const auto* c = std::get_if<work::Collective>(&item.op))
    return network.collective(c->kind, {c->bytes}, group(c->gpus));
  if (const auto* x = std::get_if<work::MoeExchange>(&item.op)) {
    // The public exchange libraries send a token once per node, to at most four nodes where the router limits it.
    Stack stack;
    stack.exchange = Stack::Exchange::deepep;
    stack.expert_nodes_limit = 4;
    if (item.exchange != Exchange::once_per_node)
      return network.low_latency_exchange(*x, item.dtype, group(x->gpus), item.exchange == Exchange::low_latency);
    return network.exchange(*x, item.dtype, group(x->gpus), stack);
  }
  return machine.efficiency.time(item.op, item.dtype);
}

struct Total {
  double seconds = 0;
  double log_sigma = 0;  // the parts' errors taken as one
};

Total total(const Workload& workload, const Machine& machine) {
  Total out;
  for (const auto& item : workload.ops) {
    const Timing t = time(item, machine);
    out.seconds += item.count * t.seconds.value;
    out.log_sigma += item.count * t.seconds.value * t.log_sigma;
  }
  if (!(out.seconds > 0) || !std::isfinite(out.seconds)) throw InputError("nothing to time");
  out.log_sigma /= out.seconds;
  return out;
}

struct TimeUnit {
  const char* name;
  double seconds;
};
constexpr TimeUnit kTimeUnits[] = {{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};

// The figure in the row's own metric and unit.
double figure(const KernelRow& row, const Workload& workload, double seconds) {
  for (const auto& unit : kTimeUnits)
    if (row.unit == unit.name) return seconds / unit.seconds;
  if (row.unit == "TFLOPS") return workload.counted_flops / seconds / units::kTera;
  if (row.unit == "GB/s") return workload.counted_bytes / seconds / units::kGiga;
  if (row.unit == "TB/s") return workload.counted_bytes / seconds / units::kTera;
  throw InputError(fmt::format("unknown unit '{}'", row.unit));
}

const catalog::Chip* chip_of(const KernelRow& row, const std::vector<catalog::Chip>& chips) {
  if (!row.chip.empty()) return catalog::find_chip(chips, row.chip);
  return row.gpu.empty() ? nullptr : catalog::find_chip(chips, row.gpu);
}

class Predictor {
 public:
  Predictor(const std::vector<catalog::Chip>& chips, const calibrate::Efficiency& efficiency)
      : chips_(chips), efficiency_(efficiency) {}

  void predict(const KernelRow& row, ValidationRow& out) {
    const catalog::Chip* chip = chip_of(row, chips_);
    if (chip == nullptr) throw InputError(fmt::format("unknown chip '{}'", row.chip.empty() ? row.gpu : row.chip));
    const Workload work = workload(row);
    out.assumed = work.assumed;
    if (!work.skipped.empty()) throw InputError(work.skipped);
    const Total sum = total(work, machine(*chip));
    const double sigma = std::hypot(sum.log_sigma, kImplementationSigma,
                                    kAssumedSigma * std::sqrt(static_cast<double>(work.assumed.size())));
    const Interval interval = log_normal(figure(row, work, sum.seconds), sigma);
    out.predicted = interval.p50;
    out.low = interval.p5;
    out.high = interval.p95;
  }

 private:
  const Machine& machine(const catalog::Chip& chip) {
    const auto found = machines_.find(chip.id);
    if (found != machines_.end()) return found->second;
    return machines_.emplace(chip.id, Machine{chip, catalog::default_cluster(chip), efficiency_.on(chip)})
        .first->second;
  }

  const std::vector<catalog::Chip>& chips_;
  const calibrate::Efficiency& efficiency_;
  std::map<std::string, Machine> machines_;
};

}  // namespace

calibrate::Validation validate_kernels(const measure::CsvTable& table, const std::vector<catalog::Chip>& chips,
                                       const calibrate::Efficiency& efficiency) {
  require_kernel_columns(table);
  const std::size_t id = *measure::column(table, "id");
  const auto value = measure::column(table, "value");
  Predictor predictor(chips, efficiency);
  std::vector<ValidationRow> rows;
  for (std::size_t at = 0; at < table.rows.size(); ++at) {
    const KernelRow row = kernel_row(table, at);
    ValidationRow out{.id = table.rows[at][id], .family = row.op_family, .unit = row.unit};
    if (value) out.reported = measure::number(table, at, *value);
    try {
      predictor.predict(row, out);
    } catch (const InputError& reason) {
      out.skipped = reason.what();
    }
    rows.push_back(std::move(out));
  }
  return calibrate::validation(std::move(rows));
}

}  // namespace traincost::cost
