#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace traincost::catalog {

enum class AttentionKind { mha, gqa, mla };
enum class FfnKind { gelu, swiglu };  // two or three matrices
enum class PositionKind { rotary, learned, alibi };

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
  bool attention_bias = false, qk_norm = false;

  FfnKind ffn_kind = FfnKind::swiglu;
  double ffn = 0;  // width of the dense layers
  bool is_parallel_block = false;  // attention and feed-forward side by side, one norm

  double num_experts = 0 /* 0: dense */, topk = 0, shared_experts = 0, expert_ffn = 0, shared_expert_ffn = 0;
  double dense_layers = 0;             // first layers without experts
  double moe_every = 1;                // 2: every second layer has experts
  double num_groups = 0, topk_groups = 0;  // node-limited routing
  double mtp_layers = 0;               // multi-token-prediction modules

  PositionKind position = PositionKind::rotary;
  bool is_layer_norm = false;  // LayerNorm with bias, else RMSNorm
  bool has_bias = false;       // on the projections
  bool has_lm_head_bias = false;

  std::optional<double> published_params, published_active_params;  // as the source prints them
  std::optional<double> published_tokens;
  std::string source, confirmed, notes;
};

/// Parameters, embeddings and head included, multi-token-prediction modules not.
double total_params(const Model& model);
/// Parameters that one token uses: top-k and shared experts only.
double active_params(const Model& model);

bool is_moe(const Model& model);
/// Layers with experts.
double moe_layers(const Model& model);

const std::vector<Model>& models();
Model parse_model(std::string_view toml, const std::string& origin);
const Model* find_model(const std::vector<Model>& models, std::string_view name);

}  // namespace traincost::catalog
