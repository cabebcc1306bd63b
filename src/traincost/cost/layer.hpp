#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <traincost/cost/constants.hpp>
#include <traincost/cost/job.hpp>
#include <traincost/work/op.hpp>

namespace traincost::cost {

/// What a kernel is for, as the bill groups it.
enum class Role { attention_projection, attention, feed_forward, experts, elementwise, quantize, head, optimizer };
inline constexpr std::size_t kRoles = 8;
std::string_view to_string(Role role);

/// One kernel of one GPU for one micro-batch. `slowdown`: factor on the calibrated time that the operation's kind
/// brings.
struct Kernel {
  work::Op op;
  work::Dtype dtype = work::Dtype::bf16;
  Role role = Role::elementwise;
  double slowdown = 1;
  double count = 1;        // as many, one after another
  double launches = 1;     // of the host, for all of them
  bool is_routed = false;  // how many rows is known when the router has run
};

/// The kernels of a layer by the pass that runs them. Input and weight gradients apart: zero-bubble schedules and
/// DualPipe move the latter.
struct Block {
  std::vector<Kernel> forward;
  std::vector<Kernel> recomputed;  // forward kernels that run again before the backward
  std::vector<Kernel> tail;        // forward kernels that full recompute leaves out
  std::vector<Kernel> summing;     // weight_grad kernels that sharded gradients (ZeRO-3) do not have
  std::vector<Kernel> input_grad, weight_grad;
};

/// One transformer layer after sharding over the layout; `has_experts`: its feed-forward is a mixture of experts.
Block layer_block(const Job& job, bool has_experts, const Constants& constants);
/// Embedding look-up.
Block embedding_block(const Job& job, const Constants& constants);
/// Output projection, loss, and (times two) the projection that joins a multi-token-prediction module.
Block head_block(const Job& job, const Constants& constants);

/// Tokens of a micro-batch on one GPU: micro_batch x seq_len / context_par.
double micro_batch_tokens(const Layout& layout);
/// (token, expert) pairs on one GPU per micro-batch, balanced.
double expert_tokens(const Layout& layout);

}  // namespace traincost::cost
