#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace traincost::catalog {

enum class AttentionKind { mha, gqa, mla };
enum class FfnKind { gelu, swiglu };  // two or three matrices
enum class PositionKind { rotary, learned, alibi };

/// How the model was trained, as its publisher states it; nullopt or "": the source does not say. Words, not types of
/// the cost stage, which lies above: schedule one_f_one_b, interleaved, zero_bubble, dual_pipe; recompute none,
/// selective, full; sharding none, zero1, zero2, zero3; dtype as work::parse_dtype reads it.
struct PublishedLayout {
  std::optional<double> gpus, tensor_par, pipeline_par, expert_par, context_par;
  std::optional<double> micro_batch, interleave;
  std::optional<double> global_batch /* sequences */, seq_len, tokens;
  std::optional<double> routing_nodes;  // node-limited routing: one token's experts lie on at most so many nodes
  std::string chip;                     // id of the chip catalogue
  std::string schedule, recompute, sharding, dtype;
  std::string source;
};

/// A transformer language model's shape; one TOML file each under catalog/models ("deepseek-v3"). Also built from a row
/// of published runs, so every field has the field's plainest default.
struct Model {
  std::string id, name;
  std::vector<std::string> aliases;
  double layers = 0, hidden = 0, vocab = 0, seq_len = 0 /* of pretraining */;
  bool tied_embeddings = false;

  AttentionKind attention = AttentionKind::mha;
  double heads = 0, kv_heads = 0;
  double head_dim = 0;    // of queries and keys; MLA: nope + rope (192)
  double v_head_dim = 0;  // = head_dim unless MLA
  double kv_lora_rank = 0, q_lora_rank = 0 /* 0: no query compression */, rope_dim = 0;  // MLA
  bool attention_bias = false /* on queries, keys, values */, qk_norm = false;

  FfnKind ffn_kind = FfnKind::swiglu;
  double ffn = 0;                  // width of the dense layers
  bool is_parallel_block = false;  // attention and feed-forward side by side, one norm

  double num_experts = 0 /* 0: dense */, topk = 0, shared_experts = 0, expert_ffn = 0;
  double shared_expert_ffn = 0;            // of each shared expert; 0: expert_ffn
  double dense_layers = 0;                 // first layers without experts
  double moe_every = 1;                    // 2: every second layer has experts
  double num_groups = 0, topk_groups = 0;  // node-limited routing
  double mtp_layers = 0;                   // multi-token-prediction modules

  PositionKind position = PositionKind::rotary;
  bool is_layer_norm = false;  // LayerNorm with bias, else RMSNorm
  bool has_bias = false;       // on all projections
  bool has_lm_head_bias = false;

  // As the source prints them; the resolution is one unit of the last printed digit ("671B": 1e9).
  std::optional<double> published_params, published_params_resolution;
  std::optional<double> published_active_params, published_active_params_resolution;
  std::optional<double> published_tokens;
  // What the published counts contain: sources differ.
  bool published_counts_embeddings = true;  // input table and head
  bool published_counts_mtp = false;
  double published_other_params = 0;    // counted in the total beside the language model: a vision encoder
  bool active_counts_embedding = true;  // the input table (a token reads one row) among the active parameters

  std::optional<PublishedLayout> published_layout;
  std::string source, confirmed, notes;
};

/// Parameters, embeddings and head included, multi-token-prediction modules not.
double total_params(const Model& model);
/// Parameters that one token uses: top-k and shared experts only. The untied input table counts where the publisher
/// counts it (active_counts_embedding), so that the figure compares with the published one.
double active_params(const Model& model);
/// Of the multi-token-prediction modules: one layer, the joining projection and norms each; embedding and head shared.
double mtp_params(const Model& model);
/// total_params and active_params counted as `published_params` and `published_active_params` are.
double total_params_as_published(const Model& model);
double active_params_as_published(const Model& model);

bool is_moe(const Model& model);
/// Layers with experts.
double moe_layers(const Model& model);
/// Width of each shared expert.
double shared_expert_width(const Model& model);

/// All embedded models, sorted by id.
const std::vector<Model>& models();

/// Reads one model from TOML text; `origin` names it in errors. Throws InputError: unknown or missing key, missing
/// source, negative, broken or non-finite figure, a shape that cannot be.
Model parse_model(std::string_view toml, const std::string& origin);

/// By id, name or alias, ignoring case; nullptr if unknown.
const Model* find_model(const std::vector<Model>& models, std::string_view name);

}  // namespace traincost::catalog
