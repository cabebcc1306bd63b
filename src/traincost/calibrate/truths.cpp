#include <traincost/calibrate/truths.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <traincost/calibrate/statistics.hpp>
#include <traincost/units/error.hpp>

namespace traincost::calibrate {
namespace {

using Shape = std::array<double, 9>;

struct ShapeOf {
  Shape operator()(const work::Gemm& g) const { return {g.m, g.n, g.k}; }
  Shape operator()(const work::Attention& a) const {
    return {
        a.b, a.s_q, a.s_kv, a.h_q, a.h_kv, a.d_qk, a.d_v, double(a.is_causal), double(a.pass == work::Pass::backward)};
  }
  Shape operator()(const work::Decode& d) const {
    return {d.b, d.s_q, d.s_kv, d.h_q, d.h_kv, d.d_qk, d.d_v, double(d.values_in_keys)};
  }
  Shape operator()(const work::MoeMlp& m) const { return {m.rows, m.num_experts, m.hidden, m.width, m.imbalance}; }
  Shape operator()(const work::Stream& s) const { return {s.bytes, s.kernels}; }
  Shape operator()(const work::Quantize& q) const { return {q.m, q.k}; }
  Shape operator()(const work::Collective& c) const { return {c.bytes, c.gpus}; }
  Shape operator()(const work::MoeExchange& x) const { return {x.tokens, x.hidden, x.topk, x.num_experts, x.gpus}; }
};

struct Timed {
  Shape shape;
  const measure::Row* row;
};

template <class Figure>
double required(const std::optional<Figure>& figure, const catalog::Chip& chip, const char* key) {
  if (!figure) throw InputError(fmt::format("chip {}: {} is unknown, but the operation needs it", chip.id, key));
  return figure->value;
}

// CUDA programming guide, arithmetic throughput: 16 a clock on every SM since Volta, where the chip does not say.
double exponentials_per_s(const catalog::Chip& chip) {
  constexpr double kPerClock = 16, kClock = 1.75e9;  // what these parts hold under load, within a tenth
  if (chip.vendor != "NVIDIA") return 0;
  return chip.exponentials_per_sm_clock.value_or(kPerClock) * kClock * chip.sm_count.value_or(0);
}

// The timings of one shape: best per provider, then the fastest.
Truth merge_shape(const Timed* first, const Timed* last, const Figures& f) {
  std::map<std::string_view, double> best;
  for (const auto* t = first; t != last; ++t) {
    const auto [at, is_new] = best.emplace(t->row->provider, t->row->latency.value);
    if (!is_new) at->second = std::min(at->second, t->row->latency.value);
  }
  std::vector<double> seconds;
  seconds.reserve(best.size());
  for (const auto& [provider, s] : best) seconds.push_back(s);
  std::ranges::sort(seconds);
  const double fastest = seconds.front();
  const auto& row = *first->row;
  return {.op = row.op,
          .load = load(row.op, row.dtype, f, casts_inside(kind_of(row.op), row.dtype) && !row.is_own),
          .seconds = fastest,
          .spread = seconds.size() > 1 ? std::min(kMaxSpread, std::log(quantile(seconds, 0.5) / fastest)) : 0,
          .second = seconds.size() > 1 ? seconds[1] : 0};
}

std::vector<Truth> merge_group(std::vector<Timed>& timed, const Figures& f) {
  std::ranges::sort(timed, {}, &Timed::shape);
  std::vector<Truth> truths;
  for (std::size_t i = 0, next = 0; i < timed.size(); i = next) {
    while (next < timed.size() && timed[next].shape == timed[i].shape) ++next;
    truths.push_back(merge_shape(timed.data() + i, timed.data() + next, f));
  }
  return truths;
}

}  // namespace

double watts_per_flops(const catalog::Chip& chip, work::Dtype dtype) {
  const auto watts = chip.uncapped_tdp_watts ? chip.uncapped_tdp_watts : chip.tdp_watts;
  const auto rate = catalog::rate(chip, dtype);
  return watts && rate ? watts->value / rate->flops_per_s.value : 0;
}

Figures figures(const catalog::Chip& chip, Kind kind, work::Dtype dtype) {
  Figures f;
  f.sm_count = chip.sm_count.value_or(0);
  if (uses_link(kind)) {
    const auto& link = chip.link_bytes_per_s ? chip.link_bytes_per_s : chip.host_bytes_per_s;
    f.link_bytes_per_s = required(link, chip, "link_bytes_per_s");
    return f;
  }
  f.bytes_per_s = required(chip.memory_bytes_per_s, chip, "memory_bytes_per_s");
  if (chip.l2_bytes) f.l2_bytes = chip.l2_bytes->value;
  if (!uses_compute(kind)) return f;
  f.exps_per_s = exponentials_per_s(chip);
  const auto rate = catalog::rate(chip, dtype);
  if (!rate)
    throw InputError(
        fmt::format("chip {}: no dense rate for {} or a format it falls back to", chip.id, to_string(dtype)));
  f.flops_per_s = rate->flops_per_s.value;
  f.watts_per_flops = watts_per_flops(chip, dtype);
  // Energy per operation hardly depends on the clock near the limit, so that a cap on power caps the rate alike.
  if (chip.tdp_watts && chip.uncapped_tdp_watts) f.flops_per_s *= *chip.tdp_watts / *chip.uncapped_tdp_watts;
  // Without a count of its own processors a chip is taken to be cut like an A100, so that only the last wave is off.
  constexpr double kTypicalProcessors = 108;
  if (f.sm_count <= 0) f.sm_count = kTypicalProcessors;
  return f;
}

Truths merge(const std::vector<measure::Row>& rows, const std::vector<catalog::Chip>& chips) {
  std::map<SurfaceKey, std::vector<Timed>> groups;
  for (const auto& row : rows) {
    if (!row.is_resolved) continue;
    const auto shape = std::visit(ShapeOf{}, row.op);
    groups[{kind_of(row.op), surface_dtype(row.op, row.dtype), row.chip}].push_back({shape, &row});
  }
  Truths truths;
  for (auto& [key, timed] : groups) {
    const auto& [kind, dtype, id] = key;
    const auto* chip = catalog::find_chip(chips, id);
    if (chip == nullptr) continue;
    if (uses_compute(kind) && !is_decode(kind)) {
      const auto rate = catalog::rate(*chip, dtype);
      if (!rate || work::bytes_per_element(rate->used) > work::bytes_per_element(dtype)) continue;
    }
    truths[key] = merge_group(timed, figures(*chip, kind, dtype));
  }
  return truths;
}

}  // namespace traincost::calibrate
