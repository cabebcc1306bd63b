#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/measure/row.hpp>

namespace traincost::measure {

/// An entry of our own benchmark's file. Every field is there as text under its own name, those of the file's context
/// and the "key=value" words of its label too.
struct BenchEntry {
  std::string name;
  std::map<std::string, std::string> fields;
  units::Seconds latency;

  [[nodiscard]] std::string text(const std::string& key) const;  // "" if absent
  [[nodiscard]] std::optional<double> number(const std::string& key) const;
};

/// Google Benchmark's JSON without its aggregates and the entries that ended in an error.
struct BenchFile {
  std::string origin, chip;
  std::vector<BenchEntry> entries;
};

/// Throws InputError when the text is no such file, a run was simulated, or an entry has no time.
BenchFile parse_bench_file(std::string_view json, const std::string& origin);
BenchFile read_bench_file(const std::string& path);

/// Rates that a copy is known to reach, by chip id; published ones, for instance.
using CopyRates = std::map<std::string, units::BytesPerSecond>;
CopyRates copy_rates(const std::vector<Row>& published, const std::vector<catalog::Chip>& chips);

/// Why the file cannot be right, one line each; empty when it may be: a time below its floor, rates that contradict the
/// time, L2-cold faster than hot, a larger shape faster than a smaller one, a copy that is 5 % from the known rate.
std::vector<std::string> failed_gates(const BenchFile& file, const std::vector<catalog::Chip>& chips,
                                      const CopyRates& known);

}  // namespace traincost::measure
