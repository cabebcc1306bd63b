#pragma once

#include <string>
#include <vector>

#include <traincost/calibrate/efficiency.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::scenario {

/// A model served for rollouts: attention data-parallel, experts spread over `expert_gpus`, weights in fp8 where the
/// chip has it, cache in bf16.
struct Server {
  catalog::Model model;
  catalog::Chip chip;
  catalog::Cluster cluster;
  double expert_gpus = 64;
};

struct DecodePart {
  std::string name;
  units::Seconds seconds;
  calibrate::Origin origin = calibrate::Origin::measured;
};

/// Sequences per GPU: on the busiest, which the others wait for at every exchange, and on average. Their caches hold
/// `context` tokens; `s_q` = 2: a token speculated by the model's own extra layer is checked along with the next.
struct DecodeLoad {
  double busiest = 1, mean = 1, context = 0, s_q = 1;
};

struct DecodeStep {
  units::Seconds seconds;
  std::vector<DecodePart> parts;
};
DecodeStep decode_step(const Server& server, const DecodeLoad& load, const calibrate::ChipEfficiency& efficiency);

/// Mean + what the largest of `n` independent counts of that variance exceeds it by.
double expected_largest(double mean, double variance, double n);

/// Cache of one token over all layers.
units::Bytes cache_bytes_per_token(const catalog::Model& model);
/// Weights on one GPU: experts spread, the rest whole.
units::Bytes weight_bytes(const Server& server);
/// Sequences that fit beside the weights at a mean length.
double sequences_that_fit(const Server& server, double mean_context);

/// The same model with another attention of the same heads: "gqa" (8 groups), "mha", head dimension 128.
catalog::Model with_attention(catalog::Model model, catalog::AttentionKind kind);

}  // namespace traincost::scenario
