#include <traincost/calibrate/fitted.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::calibrate {

const Surface* find_surface(const Efficiency::Fitted& fitted, Kind kind, work::Dtype dtype, const std::string& chip) {
  for (const auto& s : fitted.surfaces)
    if (s.kind == kind && s.dtype == dtype && s.chip == chip) return &s;
  return nullptr;
}

const Ratio* find_ratio(const Efficiency::Fitted& fitted, const std::string& name, const std::string& arch) {
  const Ratio* pooled = nullptr;
  for (const auto& r : fitted.ratios) {
    if (r.name != name) continue;
    if (r.arch == arch) return &r;
    if (r.arch.empty()) pooled = &r;
  }
  return pooled;
}

double distance(const Donor& a, const Donor& b) {
  return std::abs(std::log(a.bf16_flops_per_s / b.bf16_flops_per_s)) +
         std::abs(std::log(a.bytes_per_s / b.bytes_per_s));
}

Donor as_donor(const catalog::Chip& chip) {
  const auto rate = catalog::rate(chip, work::Dtype::bf16);
  return {.chip = chip.id,
          .arch = chip.arch,
          .bf16_flops_per_s = rate ? rate->flops_per_s.value : 1,
          .bytes_per_s = chip.memory_bytes_per_s ? chip.memory_bytes_per_s->value : 1};
}

std::vector<const Surface*> siblings(const Efficiency::Fitted& fitted, Kind kind, work::Dtype dtype,
                                     const Donor& chip) {
  std::vector<std::pair<double, const Surface*>> found;
  for (const auto& donor : fitted.donors) {
    if (donor.arch != chip.arch || donor.chip == chip.chip) continue;
    if (const auto* s = find_surface(fitted, kind, dtype, donor.chip)) found.emplace_back(distance(chip, donor), s);
  }
  std::ranges::stable_sort(found, {}, &std::pair<double, const Surface*>::first);
  std::vector<const Surface*> out;
  for (const auto& [d, s] : found) out.push_back(s);
  return out;
}

}  // namespace traincost::calibrate
