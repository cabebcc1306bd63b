#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <traincost/measure/row.hpp>

namespace traincost::measure {

/// Published kernel figures whose shape suffices for a Row. The provider is the kernel's name without its pass, its
/// mask and its head width, so that the rows of one benchmark pair up.
struct Published {
  std::vector<Row> rows;
  std::vector<Row> forward_and_backward;  // attention timed as a whole; the op is the forward pass
};

/// The columns of results/published/kernels.csv (kernel, op_family, m, n, ..., gpu, chip, metric, value, unit). Rates
/// become latencies by the FLOPs or bytes of the op. A row whose shape, metric or format is not enough is left out.
Published read_published(const std::string& path);  // throws InputError
Published parse_published(std::string_view csv, const std::string& origin);

}  // namespace traincost::measure
