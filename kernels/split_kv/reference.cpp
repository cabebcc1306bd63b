#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/split_kv/split_kv.hpp>

namespace traincost::kernels::split_kv {
namespace {

/// A page of a sequence; page 0 also stands for what the sequence costs beside its pages.
struct Unit {
  int sequence, page;
};

std::vector<Unit> line_of(const PlanParams& p) {
  std::vector<Unit> line;
  for (int s = 0; s < p.b; ++s)
    for (int u = 0; u < kOverheadPages + pages(p.lengths[s]); ++u) line.push_back({s, std::max(0, u - kOverheadPages)});
  return line;
}

/// Parts that hold a page of the sequence.
std::vector<int> parts_with(const PlanParams& p, int sequence) {
  std::vector<int> found;
  for (int part = 0; part < p.num_parts; ++part) {
    const Part& x = p.parts[part];
    const int begin = x.begin_sequence == sequence ? x.begin_page : 0;
    const int end = x.end_sequence == sequence ? x.end_page : pages(p.lengths[sequence]);
    if (x.begin_sequence <= sequence && sequence <= x.end_sequence && begin < end) found.push_back(part);
  }
  return found;
}

}  // namespace

void reference(const PlanParams& p) {
  validate(p);
  const std::vector<Unit> line = line_of(p);
  const auto units = static_cast<std::int64_t>(line.size());
  const auto used = std::min<std::int64_t>(p.num_parts, ceil_div(units, kMinPagesPerPart));
  const auto position = [&](std::int64_t part) {
    return part < used ? line[static_cast<std::size_t>(part * units / used)] : Unit{p.b, 0};
  };
  for (int part = 0; part < p.num_parts; ++part) {
    const Unit begin = position(part);
    const Unit end = position(part + 1);
    p.parts[part] = {begin.sequence, begin.page, end.sequence, end.page};
  }
  p.slot_begin[0] = 0;
  for (int s = 0; s < p.b; ++s) {
    const std::vector<int> holders = parts_with(p, s);
    p.first_part[s] = holders.front();
    p.slot_begin[s + 1] = p.slot_begin[s] + (holders.size() > 1 ? static_cast<int>(holders.size()) : 0);
  }
}

void reference(const CombineParams& p) {
  validate(p);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (int s = 0; s < p.b; ++s) {
    const int begin = p.plan.slot_begin[s];
    const int end = p.plan.slot_begin[s + 1];
    for (int row = 0; row < p.rows && begin < end; ++row) {
      double largest = -kInfinity;
      for (int slot = begin; slot < end; ++slot)
        largest = std::max<double>(largest, p.partial_lse[row_offset(slot, p.rows) + row]);
      const double base = largest == -kInfinity ? 0 : largest;
      double sum = 0;
      std::vector<double> acc(static_cast<std::size_t>(p.d_v));
      for (int slot = begin; slot < end; ++slot) {
        const std::int64_t at = row_offset(slot, p.rows) + row;
        const double weight = std::exp(p.partial_lse[at] - base);
        sum += weight;
        for (int c = 0; c < p.d_v; ++c) acc[c] += weight * p.partial_out[row_offset(at, p.d_v) + c];
      }
      const std::int64_t at = row_offset(s, p.rows) + row;
      for (int c = 0; c < p.d_v; ++c) p.out[row_offset(at, p.d_v) + c] = __double2bfloat16(sum == 0 ? 0 : acc[c] / sum);
      p.lse[at] = static_cast<float>(sum == 0 ? -kInfinity : base + std::log(sum));
    }
  }
}

}  // namespace traincost::kernels::split_kv
