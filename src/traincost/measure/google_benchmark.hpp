#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <traincost/measure/bench_file.hpp>
#include <traincost/measure/row.hpp>

namespace traincost::measure {

/// Results of our own benchmark: Google Benchmark's JSON, whose `context` names chip and commit. Each entry of
/// `benchmarks` carries op, dtype, provider and the shape under the same keys as the columns of a row file, text in
/// `label` as "key=value" pairs and numbers as counters; the latency is latency_s, else real_time in its time_unit.
/// Kernels that stand for no operation of the cost model have no op and give no row. Throws InputError when a run was
/// simulated, or a figure is missing or wrong.
std::vector<Row> rows_of(const BenchFile& file);
std::vector<Row> parse_google_benchmark(std::string_view json, const std::string& origin);

}  // namespace traincost::measure
