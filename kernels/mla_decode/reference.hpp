#pragma once

#include <vector>

#include <kernels/common/reference_attention.hpp>
#include <kernels/mla_decode/mla_decode.hpp>

/// Both ways to compute multi-head latent attention for the queries of one sequence, in fp64.
namespace traincost::kernels::mla_decode {

/// The cache of a sequence as the kernel must understand it: [lengths[sequence], 576].
std::vector<double> cached_keys(const Params& params, int sequence);

/// q [s_q, h_q, 576] against keys [length, 576]; results in the order of q.
struct AbsorbedProblem {
  int s_q, h_q;
  bool is_causal;
  double sm_scale;
  std::vector<double> q, keys;
};
std::vector<Attended> absorbed(const AbsorbedProblem& problem);

/// As the model defines it: keys and values of each head come from the latent by up-projections.
struct ExpandedProblem {
  int s_q, h_q, d_nope, d_v;
  bool is_causal;
  double sm_scale;
  std::vector<double> q_nope;    // [s_q, h_q, d_nope]
  std::vector<double> q_rope;    // [s_q, h_q, 64]
  std::vector<double> key_up;    // [h_q, d_nope, 512]
  std::vector<double> value_up;  // [h_q, d_v, 512]
  std::vector<double> keys;      // [length, 576]: latent and rotary part
};
std::vector<Attended> expanded(const ExpandedProblem& problem);

/// The same by absorption: key_up goes into the queries, value_up is applied to the result.
std::vector<Attended> expanded_by_absorption(const ExpandedProblem& problem);

}  // namespace traincost::kernels::mla_decode
