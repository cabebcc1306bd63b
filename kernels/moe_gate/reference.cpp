#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <kernels/common/address.hpp>
#include <kernels/moe_gate/moe_gate.hpp>
#include <kernels/moe_gate/scores.hpp>

namespace traincost::kernels::moe_gate {
namespace {

std::vector<float> scores_of(const void* logits, const Shape& s, std::int64_t token) {
  std::vector<float> scores(s.num_experts);
  for (int e = 0; e < s.num_experts; ++e) {
    const std::int64_t at = row_offset(token, s.num_experts) + e;
    const float logit = s.logit_type == LogitType::fp32
                            ? static_cast<const float*>(logits)[at]
                            : __bfloat162float(static_cast<const __nv_bfloat16*>(logits)[at]);
    scores[e] = score_of(logit, s.scoring);
  }
  return scores;
}

/// The first `count` of `candidates` in the total order: key descending, then index ascending.
std::vector<int> best(std::vector<int> candidates, const std::vector<std::uint32_t>& keys, int count) {
  std::ranges::sort(candidates, [&](int a, int b) { return keys[a] != keys[b] ? keys[a] > keys[b] : a < b; });
  candidates.resize(std::min<std::size_t>(candidates.size(), count));
  return candidates;
}

std::vector<int> range(int begin, int end) {
  std::vector<int> r(end - begin);
  std::iota(r.begin(), r.end(), begin);
  return r;
}

std::vector<int> candidates(const std::vector<std::uint32_t>& keys, const Shape& s) {
  if (s.num_groups == 1) return range(0, s.num_experts);
  const int per_group = s.num_experts / s.num_groups;
  std::vector<std::uint32_t> group_keys;
  group_keys.reserve(s.num_groups);
  for (int g = 0; g < s.num_groups; ++g) {
    const auto two = best(range(g * per_group, (g + 1) * per_group), keys, 2);
    group_keys.push_back(group_key(keys[two[0]], two.size() == 2 ? keys[two[1]] : 0));
  }
  std::vector<int> experts;
  for (const int g : best(range(0, s.num_groups), group_keys, s.topk_groups))
    for (const int e : range(g * per_group, (g + 1) * per_group)) experts.push_back(e);
  return experts;
}

/// What each expert's weight is proportional to, in fp64; NaN scores have none.
std::vector<double> parts_of(const std::vector<float>& scores, Scoring scoring) {
  std::vector<double> parts;
  parts.reserve(scores.size());
  double largest = -FLT_MAX;
  for (const float x : scores)
    if (!std::isnan(x)) largest = std::max<double>(largest, x);
  for (const float x : scores)
    parts.push_back(std::isnan(x) ? 0 : scoring == Scoring::sigmoid ? x : std::exp(x - largest));
  return parts;
}

double sum_over(const std::vector<double>& parts, const std::vector<int>& ids) {
  double sum = 0;
  for (const int e : ids) sum += parts[e];
  return sum;
}

double quotient(double numerator, double sum) { return sum > 0 ? numerator / sum : 0; }

}  // namespace

void reference(const Params& p) {
  validate(p.shape);
  const Shape& s = p.shape;
  for (std::int64_t t = 0; t < s.tokens; ++t) {
    const auto scores = scores_of(p.logits, s, t);
    std::vector<std::uint32_t> keys;
    for (int e = 0; e < s.num_experts; ++e) keys.push_back(selection_key(scores[e], p.bias != nullptr ? p.bias[e] : 0));
    const auto ids = best(candidates(keys, s), keys, s.topk);
    const auto parts = parts_of(scores, s.scoring);
    const double sum = sum_over(parts, s.scoring == Scoring::softmax ? range(0, s.num_experts) : ids);
    for (int j = 0; j < s.topk; ++j) {
      p.ids[row_offset(t, s.topk) + j] = ids[j];
      p.weights[row_offset(t, s.topk) + j] = static_cast<float>(s.scale * quotient(parts[ids[j]], sum));
      if (p.load != nullptr) ++p.load[ids[j]];
    }
  }
}

void reference(const BackwardParams& p) {
  validate(p.shape);
  const Shape& s = p.shape;
  for (std::int64_t t = 0; t < s.tokens; ++t) {
    const int* ids = p.ids + row_offset(t, s.topk);
    const float* grad_weights = p.grad_weights + row_offset(t, s.topk);
    float* grad_logits = p.grad_logits + row_offset(t, s.num_experts);
    const auto parts = parts_of(scores_of(p.logits, s, t), s.scoring);
    const auto selected = std::vector<int>(ids, ids + s.topk);
    const double sum = sum_over(parts, s.scoring == Scoring::softmax ? range(0, s.num_experts) : selected);

    std::vector<double> grad(s.num_experts, 0.0);  // by share = part / sum
    double mean = 0;
    for (int j = 0; j < s.topk; ++j) {
      grad[ids[j]] = static_cast<double>(s.scale) * grad_weights[j];
      mean += grad[ids[j]] * quotient(parts[ids[j]], sum);
    }
    std::vector<bool> in_sum(s.num_experts, s.scoring == Scoring::softmax);
    for (const int e : selected) in_sum[e] = true;
    for (int e = 0; e < s.num_experts; ++e) {
      const double by_log_part = in_sum[e] ? quotient(parts[e], sum) * (grad[e] - mean) : 0;
      grad_logits[e] = static_cast<float>(by_log_part * (s.scoring == Scoring::sigmoid ? 1 - parts[e] : 1));
    }
  }
}

void reference(const BiasUpdateParams& p) {
  const double mean = std::accumulate(p.load, p.load + p.num_experts, 0.0) / p.num_experts;
  for (int e = 0; e < p.num_experts; ++e)
    if (p.load[e] != mean) p.bias[e] += p.load[e] < mean ? p.gamma : -p.gamma;
}

}  // namespace traincost::kernels::moe_gate
