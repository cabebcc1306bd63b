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

}  // namespace

std::vector<Ratio> fit_ratios(const std::vector<measure::Row>& published, const std::vector<catalog::Chip>& chips) {
  Rates<PassKey> forward;
  Rates<WidthKey> at_128;
  for (const auto& row : published) {
    const auto* a = std::get_if<work::Attention>(&row.op);
    if (a == nullptr || a->pass != work::Pass::forward) continue;
    forward[without_pass(row, *a)] = rate(row);
    if (a->d_qk == 128 && a->d_v == 128) at_128[without_width(row, *a)] = rate(row);
  }
  Samples samples;
  for (const auto& row : published) {
    const auto* a = std::get_if<work::Attention>(&row.op);
    const auto* chip = catalog::find_chip(chips, row.chip);
    if (a == nullptr || chip == nullptr) continue;
    if (a->pass == work::Pass::backward) {
      if (const auto f = forward.find(without_pass(row, *a)); f != forward.end())
        add(samples, a->d_qk == a->d_v ? kBackward : kBackwardMla, chip->arch, rate(row) / f->second);
    } else if (a->d_qk == 64) {
      if (const auto f = at_128.find(without_width(row, *a)); f != at_128.end())
        add(samples, kHeadDim64, chip->arch, rate(row) / f->second);
    }
  }
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
