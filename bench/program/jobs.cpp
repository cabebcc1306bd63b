#include <bench/program/jobs.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace traincost::bench {
namespace {

units::Seconds floor_of(const kernels::Shape& shape, const catalog::Chip& chip) {
  const auto rate = catalog::rate(chip, shape.dtype);
  units::Seconds floor{};
  if (rate) floor = units::max(floor, shape.flops / rate->flops_per_s);
  if (chip.memory_bytes_per_s) floor = units::max(floor, shape.bytes / *chip.memory_bytes_per_s);
  return floor;
}

std::string why_skipped(const kernels::Provider& provider, measure::Mode mode, Backend* backend) {
  if (provider.why_not)
    if (auto why = provider.why_not(); !why.empty()) return why;
  if (backend == nullptr) return "";
  const int wanted = provider.min_compute_capability;
  const int has = backend->compute_capability();
  if (has < wanted || (provider.is_one_architecture && has != wanted))
    return fmt::format("needs compute capability {}.{}", wanted / 10, wanted % 10);
  return backend->why_no_mode(mode);
}

/// Keeps the buffers of the last shape for its other modes.
class Slot {
 public:
  std::shared_ptr<Prepared> get(const kernels::Case& c, const kernels::Provider& provider, std::size_t shape) {
    if (last_ && last_->kernel_case == &c && last_->provider == &provider && last_->shape == shape) return last_;
    last_.reset();  // frees its memory before the next takes any
    last_ = std::make_shared<Prepared>(
        Prepared{.kernel_case = &c, .provider = &provider, .shape = shape, .instances = {}, .mismatch = {}});
    last_->instances.push_back(provider.prepare(shape));
    return last_;
  }

 private:
  std::shared_ptr<Prepared> last_;
};

measure::Fields fields_of(const kernels::Shape& shape) {
  return shape.op ? measure::fields_of(*shape.op) : measure::Fields{};
}

}  // namespace

std::vector<Job> jobs(const std::vector<kernels::Case>& cases, const catalog::Chip& chip, Backend* backend) {
  const auto slot = std::make_shared<Slot>();
  const std::vector all_modes{measure::Mode::cold, measure::Mode::hot, measure::Mode::graph};
  std::vector<Job> out;
  for (const auto& c : cases)
    for (std::size_t s = 0; s < c.shapes.size(); ++s)
      for (const auto& provider : c.providers)
        for (const auto mode : backend != nullptr ? backend->modes() : all_modes)
          out.push_back({.case_name = c.name,
                         .provider = provider.name,
                         .shape = c.shapes[s].label,
                         .dtype = c.shapes[s].dtype,
                         .mode = mode,
                         .code_path = provider.code_path,
                         .flops = c.shapes[s].flops,
                         .bytes = c.shapes[s].bytes,
                         .floor = floor_of(c.shapes[s], chip),
                         .fields = fields_of(c.shapes[s]),
                         .skip = why_skipped(provider, mode, backend),
                         .prepare = [=, &c, &provider] { return backend->probe(slot->get(c, provider, s), mode); }});
  return out;
}

}  // namespace traincost::bench
