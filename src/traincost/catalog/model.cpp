#include <algorithm>
#include <cmath>

#include <traincost/catalog/model.hpp>

namespace traincost::catalog {

namespace {

double norm_params(const Model& model) { return (model.is_layer_norm ? 2 : 1) * model.hidden; }

double head_attention_params(const Model& model) {
  const double q = model.heads * model.head_dim;
  const double kv = model.kv_heads * (model.head_dim + model.v_head_dim);
  const double out = model.heads * model.v_head_dim;
  const bool has_qkv_bias = model.attention_bias || model.has_bias;
  return model.hidden * (q + kv + out) + (has_qkv_bias ? q + kv : 0) + (model.has_bias ? model.hidden : 0);
}

// DeepSeek-V2, arXiv 2405.04434, equations 9 to 17: down-projections, their norms, up-projections, output.
double latent_attention_params(const Model& model) {
  const double nope = model.head_dim - model.rope_dim;
  const double q_width = model.heads * model.head_dim;
  const double q = model.q_lora_rank > 0 ? (model.hidden + 1 + q_width) * model.q_lora_rank : model.hidden * q_width;
  const double kv_down = model.hidden * (model.kv_lora_rank + model.rope_dim) + model.kv_lora_rank;
  const double kv_up = model.kv_lora_rank * model.heads * (nope + model.v_head_dim);
  return q + kv_down + kv_up + model.heads * model.v_head_dim * model.hidden;
}

double attention_params(const Model& model) {
  const double norms = model.qk_norm ? 2 * model.head_dim : 0;
  return norms +
         (model.attention == AttentionKind::mla ? latent_attention_params(model) : head_attention_params(model));
}

double ffn_params(const Model& model, double width) {
  const double in_matrices = model.ffn_kind == FfnKind::swiglu ? 2 : 1;
  const double biases = model.has_bias ? in_matrices * width + model.hidden : 0;
  return (in_matrices + 1) * model.hidden * width + biases;
}

double expert_layer_params(const Model& model, double routed_experts) {
  const double router = model.num_experts * (model.hidden + (model.has_bias ? 1 : 0));
  return router + routed_experts * ffn_params(model, model.expert_ffn) +
         model.shared_experts * ffn_params(model, shared_expert_width(model));
}

double embedding_params(const Model& model) { return model.vocab * model.hidden; }

double head_params(const Model& model) {
  return (model.tied_embeddings ? 0 : embedding_params(model)) + (model.has_lm_head_bias ? model.vocab : 0);
}

double position_params(const Model& model) {
  return model.position == PositionKind::learned ? model.seq_len * model.hidden : 0;
}

double attention_and_norm_params(const Model& model) {
  return attention_params(model) + (model.is_parallel_block ? 1 : 2) * norm_params(model);
}

double params(const Model& model, double routed_experts) {
  const double sparse = moe_layers(model);
  const double dense = model.layers - sparse;
  return model.layers * attention_and_norm_params(model) + dense * ffn_params(model, model.ffn) +
         (sparse > 0 ? sparse * expert_layer_params(model, routed_experts) : 0) + norm_params(model) +
         embedding_params(model) + head_params(model) + position_params(model);
}

// The joining projection takes the hidden state and the next token's embedding: 2 hidden x hidden, with a norm each and
// one before the shared head (DeepSeek-V3, arXiv 2412.19437, section 2.2).
double mtp_params(const Model& model, double routed_experts) {
  const double ffn = is_moe(model) ? expert_layer_params(model, routed_experts) : ffn_params(model, model.ffn);
  const double joining = 2 * model.hidden * model.hidden + 3 * norm_params(model);
  return model.mtp_layers * (attention_and_norm_params(model) + ffn + joining);
}

double uncounted_embeddings(const Model& model) {
  return model.published_counts_embeddings ? 0 : embedding_params(model) + head_params(model);
}

}  // namespace

bool is_moe(const Model& model) { return model.num_experts > 0; }

double moe_layers(const Model& model) {
  return is_moe(model) ? std::floor((model.layers - model.dense_layers) / model.moe_every) : 0;
}

double shared_expert_width(const Model& model) {
  return model.shared_expert_ffn > 0 ? model.shared_expert_ffn : model.expert_ffn;
}

double total_params(const Model& model) { return params(model, model.num_experts); }

double active_params(const Model& model) {
  const bool skips_table = !model.active_counts_embedding && !model.tied_embeddings;
  return params(model, model.topk) - (skips_table ? embedding_params(model) : 0);
}

double mtp_params(const Model& model) { return mtp_params(model, model.num_experts); }

double total_params_as_published(const Model& model) {
  return total_params(model) - uncounted_embeddings(model) + (model.published_counts_mtp ? mtp_params(model) : 0) +
         model.published_other_params;
}

double active_params_as_published(const Model& model) {
  const double embeddings = model.published_counts_embeddings
                                ? 0
                                : uncounted_embeddings(model) - (params(model, model.topk) - active_params(model));
  return active_params(model) - embeddings + (model.published_counts_mtp ? mtp_params(model, model.topk) : 0);
}

}  // namespace traincost::catalog
