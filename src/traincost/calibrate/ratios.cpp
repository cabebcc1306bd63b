#include <traincost/calibrate/ratios.hpp>

#include <cmath>
#include <map>
#include <tuple>

#include <traincost/calibrate/statistics.hpp>

namespace traincost::calibrate {
namespace {

// Achieved FLOP/s of one published row.
double rate(const measure::Row& row) { return work::flops(row.op).value / row.latency.value; }

// Everything but the pass, and everything but the head width at the same hidden width.
using PassKey = std::tuple<std::string, std::string, work::Dtype, double, double, double, double, double, double, bool>;
PassKey without_pass(const measure::Row& r, const work::Attention& a) {
  return {r.chip, r.provider, r.dtype, a.b, a.s_q, a.h_q, a.h_kv, a.d_qk, a.d_v, a.is_causal};
}
using WidthKey = std::tuple<std::string, std::string, work::Dtype, double, double, double, bool>;
WidthKey without_width(const measure::Row& r, const work::Attention& a) {
  return {r.chip, r.provider, r.dtype, a.b, a.s_q, a.h_q * a.d_qk, a.is_causal};
}

// ln ratios by (name, architecture); architecture "" holds all.
using Samples = std::map<std::pair<std::string, std::string>, std::vector<double>>;

void add(Samples& samples, const char* name, const std::string& arch, double ratio) {
  samples[{name, arch}].push_back(std::log(ratio));
  samples[{name, ""}].push_back(std::log(ratio));
}

template <class Key>
using Rates = std::map<Key, double>;

struct Forward {
  Rates<PassKey> by_pass;
  Rates<WidthKey> at_128;
};

Forward forward_rates(const std::vector<measure::Row>& rows) {
  Forward out;
  for (const auto& row : rows) {
    const auto* a = std::get_if<work::Attention>(&row.op);
    if (a == nullptr || a->pass != work::Pass::forward) continue;
    out.by_pass[without_pass(row, *a)] = rate(row);
    if (a->d_qk == 128 && a->d_v == 128) out.at_128[without_width(row, *a)] = rate(row);
  }
  return out;
}

const char* backward_name(const work::Attention& a) { return a.d_qk == a.d_v ? kBackward : kBackwardMla; }
const char* forward_name(const work::Attention& a, work::Dtype used) {
  const bool is_mla = a.d_qk != a.d_v;
  if (used == work::Dtype::mxfp8) return is_mla ? kForwardMxMla : kForwardMx;
  return is_mla ? kForwardFp8Mla : kForwardFp8;
}

bool is_one_byte(work::Dtype dtype) { return work::bytes_per_element(dtype) < 2; }

void add_row(Samples& samples, const measure::Row& row, const work::Attention& a, const Forward& forward,
             const std::string& arch) {
  if (a.pass == work::Pass::backward) {
    const auto f = forward.by_pass.find(without_pass(row, a));
    if (f != forward.by_pass.end()) add(samples, backward_name(a), arch, rate(row) / f->second);
  } else if (a.d_qk == 64) {
    const auto f = forward.at_128.find(without_width(row, a));
    if (f != forward.at_128.end()) add(samples, kHeadDim64, arch, rate(row) / f->second);
  }
}

void add_fp8(Samples& samples, const measure::Row& row, const work::Attention& a, const catalog::Chip& chip,
             const Efficiency& efficiency) {
  const auto rate = catalog::rate(chip, row.dtype);
  if (a.pass != work::Pass::forward || !rate || !is_one_byte(rate->used)) return;
  const auto timing = efficiency.on(chip).time(a, row.dtype);
  if (timing.origin == Origin::datasheet) return;
  add(samples, forward_name(a, rate->used), chip.arch, timing.seconds.value / row.latency.value);
}

// A whole, less its forward pass.
void add_split(Samples& samples, const measure::Row& whole, const Forward& forward, const catalog::Chip& chip,
               const Efficiency& efficiency) {
  const auto& a = std::get<work::Attention>(whole.op);
  if (a.d_qk != 128) return;
  const auto own = forward.by_pass.find(without_pass(whole, a));
  const double forward_rate = own != forward.by_pass.end()
                                  ? own->second
                                  : work::flops(a).value / efficiency.on(chip).time(a, whole.dtype).seconds.value;
  const double backward_s = whole.latency.value - work::flops(a).value / forward_rate;
  auto backward = a;
  backward.pass = work::Pass::backward;
  if (backward_s > 0)
    add(samples, backward_name(a), chip.arch, work::flops(backward).value / backward_s / forward_rate);
}

}  // namespace

std::vector<Ratio> fit_ratios(const measure::Published& published, const std::vector<catalog::Chip>& chips,
                              const Efficiency& efficiency) {
  const Forward forward = forward_rates(published.rows);
  Samples samples;
  for (const auto& row : published.rows) {
    const auto* a = std::get_if<work::Attention>(&row.op);
    const auto* chip = catalog::find_chip(chips, row.chip);
    if (a == nullptr || chip == nullptr) continue;
    add_row(samples, row, *a, forward, chip->arch);
    add_fp8(samples, row, *a, *chip, efficiency);
  }
  for (const auto& row : published.forward_and_backward)
    if (const auto* chip = catalog::find_chip(chips, row.chip)) add_split(samples, row, forward, *chip, efficiency);
  std::vector<Ratio> out;
  for (const auto& [key, logs] : samples)
    out.push_back({.name = key.first,
                   .arch = key.second,
                   .value = std::exp(quantile(logs, 0.5)),
                   .log_sigma = robust_sigma(logs),
                   .rows = logs.size()});
  return out;
}

}  // namespace traincost::calibrate
