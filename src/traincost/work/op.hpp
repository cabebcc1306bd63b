#pragma once

#include <string>
#include <string_view>
#include <variant>

#include <traincost/units/quantity.hpp>
#include <traincost/work/dtype.hpp>

/// FLOPs and compulsory bytes of an operation from its shape, once, for the kernels, the benchmark and the cost model.
/// Shapes are per GPU (after sharding). They are doubles: a GPU's mean share of the tokens need not be whole.
namespace traincost::work {

enum class Pass { forward, backward };  // backward: gradients of the inputs and of the weights together

/// y[m, n] = x[m, k] w[k, n]; the input and weight gradients are Gemms of their own.
struct Gemm {
  double m = 0, n = 0, k = 0;
  bool operator==(const Gemm&) const = default;
};

/// Scores and values over whole sequences: q [b, s_q, h_q, d_qk], k [b, s_kv, h_kv, d_qk], v [b, s_kv, h_kv, d_v].
/// MLA in training is h_kv = h_q with d_qk 192 and d_v 128 (DeepSeek-V3, arXiv 2412.19437).
struct Attention {
  double b = 0, s_q = 0, s_kv = 0, h_q = 0, h_kv = 0, d_qk = 0, d_v = 0;
  bool is_causal = true;
  Pass pass = Pass::forward;
  bool operator==(const Attention&) const = default;
};

/// One step of decoding against a cache of s_kv tokens. MLA absorbed: h_kv = 1, d_qk = 576, d_v = 512, values a view of
/// the keys, so that a token of the cache is d_qk elements instead of h_kv (d_qk + d_v).
struct Decode {
  double b = 0, s_q = 1, s_kv = 0, h_q = 0, h_kv = 0, d_qk = 0, d_v = 0;
  bool values_in_keys = false;
  Dtype kv_dtype = Dtype::bf16;
  bool operator==(const Decode&) const = default;
};

/// The experts of one GPU: gate and up projection, activation, down projection, over `rows` (token, expert) pairs.
/// `imbalance` = rows of the busiest GPU / mean.
struct MoeMlp {
  double rows = 0, num_experts = 0 /* on this GPU */, hidden = 0, width = 0, imbalance = 1;
  bool operator==(const MoeMlp&) const = default;
};

/// Reads and writes memory and computes next to nothing: norms, activations, residuals, optimizer, permute, copies.
struct Stream {
  double bytes = 0;
  double kernels = 1;  // that it takes, one after the other
  bool operator==(const Stream&) const = default;
};

/// bf16 [m, k] -> fp8 with scales.
struct Quantize {
  double m = 0, k = 0;
  bool operator==(const Quantize&) const = default;
};

enum class CollectiveKind { all_reduce, all_gather, reduce_scatter, all_to_all, send_recv };

/// `bytes` is the full buffer: of all_reduce and all_to_all per GPU, of all_gather the output, of reduce_scatter the
/// input.
struct Collective {
  CollectiveKind kind = CollectiveKind::all_reduce;
  double bytes = 0, gpus = 0;
  bool operator==(const Collective&) const = default;
};

/// Expert-parallel exchange of `tokens` per GPU to `topk` of `num_experts` experts.
struct MoeExchange {
  double tokens = 0, hidden = 0, topk = 0, num_experts = 0, gpus = 0;
  bool is_combine = false;
  bool operator==(const MoeExchange&) const = default;
};

using Op = std::variant<Gemm, Attention, Decode, MoeMlp, Stream, Quantize, Collective, MoeExchange>;

/// "gemm", "attention", "decode", ...
std::string_view name(const Op& op);

/// For messages: name and shape.
std::string describe(const Op& op);

units::Flops flops(const Op& op);

/// Bytes that must cross the memory (or, for a collective, the link of each GPU) at least once.
units::Bytes bytes(const Op& op, Dtype dtype);

}  // namespace traincost::work
