#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace traincost::kernels {

/// The result of one query: out [d_v] and the log-sum-exp of its scores.
struct Attended {
  std::vector<double> out;
  double lse = -std::numeric_limits<double>::infinity();
};

/// Softmax over `tokens` scores and the sum of values it weighs, in fp64: score(t) and value(t, column). Without tokens
/// the output is 0 and the log-sum-exp minus infinity.
template <class Score, class Value>
Attended attend(int tokens, int d_v, Score score, Value value) {
  Attended result{.out = std::vector<double>(static_cast<std::size_t>(d_v))};
  if (tokens <= 0) return result;
  std::vector<double> weights(static_cast<std::size_t>(tokens));
  for (int t = 0; t < tokens; ++t) weights[t] = score(t);
  const double largest = *std::ranges::max_element(weights);
  double sum = 0;
  for (double& w : weights) sum += w = std::exp(w - largest);
  for (int t = 0; t < tokens; ++t)
    for (int c = 0; c < d_v; ++c) result.out[c] += weights[t] / sum * value(t, c);
  result.lse = largest + std::log(sum);
  return result;
}

/// Tokens that query s of s_q sees: causal, all but those behind it, the queries being the newest tokens.
inline int visible_tokens(int length, int s_q, int s, bool is_causal) {
  return is_causal ? length - (s_q - 1 - s) : length;
}

}  // namespace traincost::kernels
