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

std::vector<work::Dtype> stand_ins(work::Dtype dtype) {
  using work::Dtype;
  switch (dtype) {
    case Dtype::fp16:
    case Dtype::tf32:
    case Dtype::fp32:
      return {dtype, Dtype::bf16};
    case Dtype::fp8:
      return {dtype, Dtype::fp8_block, Dtype::bf16};
    case Dtype::fp8_block:
      return {dtype, Dtype::fp8, Dtype::bf16};
    case Dtype::mxfp8:
      return {dtype, Dtype::fp8_block, Dtype::fp8, Dtype::bf16};
    case Dtype::int8:
      return {dtype, Dtype::fp8, Dtype::bf16};
    case Dtype::nvfp4:
      return {dtype, Dtype::fp8, Dtype::bf16};
    default:
      return {dtype};
  }
}

Choice choose(const Efficiency::Fitted& fitted, const Donor& chip, Kind kind, work::Dtype dtype) {
  auto formats = stand_ins(dtype);
  if (kind == Kind::dispatch && dtype == work::Dtype::bf16) formats.push_back(work::Dtype::fp8);  // timed in fp8 alone
  for (const auto as : formats) {
    if (const auto* own = find_surface(fitted, kind, as, chip.chip)) return {own, as, Choice::From::own};
    if (const auto near = siblings(fitted, kind, as, chip); !near.empty())
      return {near.front(), as, Choice::From::sibling};
  }
  for (const auto& name : {chip.pool, std::string(kStackedPool)})
    for (const auto as : formats)
      if (const auto* pool = find_surface(fitted, kind, as, name)) return {pool, as, Choice::From::pool};
  return {};
}

double distance(const Donor& a, const Donor& b) {
  return std::abs(std::log(a.bf16_flops_per_s / b.bf16_flops_per_s)) +
         std::abs(std::log(a.bytes_per_s / b.bytes_per_s));
}

Donor as_donor(const catalog::Chip& chip) {
  const auto rate = catalog::rate(chip, work::Dtype::bf16);
  return {.chip = chip.id,
          .arch = chip.arch,
          .pool = chip.memory_type.starts_with("HBM") ? kStackedPool : kPlanarPool,
          .bf16_flops_per_s = rate ? rate->flops_per_s.value : 1,
          .bytes_per_s = chip.memory_bytes_per_s ? chip.memory_bytes_per_s->value : 1};
}

std::vector<const Surface*> siblings(const Efficiency::Fitted& fitted, Kind kind, work::Dtype dtype,
                                     const Donor& chip) {
  std::vector<std::pair<double, const Surface*>> found;
  for (const auto& donor : fitted.donors) {
    if (donor.arch != chip.arch || donor.pool != chip.pool || donor.chip == chip.chip) continue;
    if (const auto* s = find_surface(fitted, kind, dtype, donor.chip)) found.emplace_back(distance(chip, donor), s);
  }
  std::ranges::stable_sort(found, {}, &std::pair<double, const Surface*>::first);
  std::vector<const Surface*> out;
  out.reserve(found.size());
  for (const auto& [d, s] : found) out.push_back(s);
  return out;
}

}  // namespace traincost::calibrate
