#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>

#include <traincost/catalog/embedded.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/catalog/toml_table.hpp>

namespace traincost::catalog {

namespace {

double whole(TomlTable& table, const std::string& key, double otherwise = 0) {
  const double value = table.figure(key, otherwise);
  if (value != std::floor(value)) table.refuse(key, "a whole number");
  return value;
}

double whole_and_positive(TomlTable& table, const std::string& key) {
  table.required_figure(key);
  const double value = whole(table, key);
  if (value <= 0) table.refuse(key, "a whole number above 0");
  return value;
}

AttentionKind attention_kind(TomlTable& table) {
  const std::string word = table.choice("attention", {"mha", "gqa", "mla"}, "mha");
  return word == "mla" ? AttentionKind::mla : word == "gqa" ? AttentionKind::gqa : AttentionKind::mha;
}

FfnKind ffn_kind(TomlTable& table) {
  return table.choice("ffn_kind", {"gelu", "swiglu"}, "swiglu") == "gelu" ? FfnKind::gelu : FfnKind::swiglu;
}

PositionKind position_kind(TomlTable& table) {
  const std::string word = table.choice("position", {"rotary", "learned", "alibi"}, "rotary");
  return word == "learned" ? PositionKind::learned : word == "alibi" ? PositionKind::alibi : PositionKind::rotary;
}

void read_attention(TomlTable& table, Model& model) {
  model.attention = attention_kind(table);
  model.heads = whole_and_positive(table, "heads");
  model.kv_heads = model.attention == AttentionKind::gqa ? whole_and_positive(table, "kv_heads")
                                                         : whole(table, "kv_heads", model.heads);
  model.head_dim = whole_and_positive(table, "head_dim");
  model.v_head_dim = model.head_dim;
  if (model.attention == AttentionKind::mla) {
    model.v_head_dim = whole_and_positive(table, "v_head_dim");
    model.kv_lora_rank = whole_and_positive(table, "kv_lora_rank");
    model.q_lora_rank = whole(table, "q_lora_rank");
    model.rope_dim = whole_and_positive(table, "rope_dim");
    if (model.rope_dim >= model.head_dim) table.refuse("rope_dim", "less than head_dim");
  }
  if (model.kv_heads <= 0 || std::fmod(model.heads, model.kv_heads) != 0) {
    table.refuse("kv_heads", "a divisor of heads");
  }
  model.attention_bias = table.flag("attention_bias", false);
  model.qk_norm = table.flag("qk_norm", false);
}

void read_experts(TomlTable& table, Model& model) {
  model.num_experts = whole(table, "num_experts");
  model.mtp_layers = whole(table, "mtp_layers");
  if (!is_moe(model)) return;  // expert keys of a dense model are then unknown keys
  model.topk = whole_and_positive(table, "topk");
  if (model.topk > model.num_experts) table.refuse("topk", "at most num_experts");
  model.expert_ffn = whole_and_positive(table, "expert_ffn");
  model.shared_experts = whole(table, "shared_experts");
  model.shared_expert_ffn = whole(table, "shared_expert_ffn");
  model.dense_layers = whole(table, "dense_layers");
  if (model.dense_layers >= model.layers) table.refuse("dense_layers", "fewer than layers");
  model.moe_every = whole(table, "moe_every", 1);
  if (model.moe_every < 1) table.refuse("moe_every", "a whole number above 0");
  model.num_groups = whole(table, "num_groups");
  model.topk_groups = whole(table, "topk_groups");
  if (model.topk_groups > model.num_groups) table.refuse("topk_groups", "at most num_groups");
}

void read_published(TomlTable& table, Model& model) {
  model.published_params = table.positive_figure("published_params");
  model.published_params_resolution = table.positive_figure("published_params_resolution");
  model.published_active_params = table.positive_figure("published_active_params");
  model.published_active_params_resolution = table.positive_figure("published_active_params_resolution");
  model.published_tokens = table.positive_figure("published_tokens");
  model.published_counts_embeddings = table.flag("published_counts_embeddings", true);
  model.published_counts_mtp = table.flag("published_counts_mtp", false);
  model.published_other_params = table.figure("published_other_params", 0);
  model.active_counts_embedding = table.flag("active_counts_embedding", true);
}

PublishedLayout read_layout(TomlTable& table) {
  PublishedLayout layout{
      .gpus = table.positive_figure("gpus"),
      .tensor_par = table.positive_figure("tensor_par"),
      .pipeline_par = table.positive_figure("pipeline_par"),
      .expert_par = table.positive_figure("expert_par"),
      .context_par = table.positive_figure("context_par"),
      .micro_batch = table.positive_figure("micro_batch"),
      .interleave = table.positive_figure("interleave"),
      .global_batch = table.positive_figure("global_batch"),
      .seq_len = table.positive_figure("seq_len"),
      .tokens = table.positive_figure("tokens"),
      .routing_nodes = table.positive_figure("routing_nodes"),
      .chip = table.text("chip"),
      .schedule = table.choice("schedule", {"one_f_one_b", "interleaved", "zero_bubble", "dual_pipe"}, ""),
      .recompute = table.choice("recompute", {"none", "selective", "full"}, ""),
      .sharding = table.choice("sharding", {"none", "zero1", "zero2", "zero3"}, ""),
      .dtype = table.text("dtype"),
      .source = table.required_text("source"),
  };
  table.finish();
  return layout;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

Model parse_model(std::string_view toml, const std::string& origin) {
  TomlTable table(toml, origin);
  Model model;
  model.id = table.required_text("id");
  model.name = table.required_text("name");
  model.aliases = table.texts("aliases");
  model.source = table.required_text("source");
  model.confirmed = table.choice("confirmed", {"yes", "partial", "derived", "unconfirmed"}, "unconfirmed");
  model.notes = table.text("notes");
  model.layers = whole_and_positive(table, "layers");
  model.hidden = whole_and_positive(table, "hidden");
  model.vocab = whole_and_positive(table, "vocab");
  model.seq_len = whole_and_positive(table, "seq_len");
  model.tied_embeddings = table.flag("tied_embeddings", false);
  read_attention(table, model);
  read_experts(table, model);
  model.ffn_kind = ffn_kind(table);
  model.ffn = moe_layers(model) < model.layers ? whole_and_positive(table, "ffn") : whole(table, "ffn");
  model.is_parallel_block = table.flag("is_parallel_block", false);
  model.position = position_kind(table);
  model.is_layer_norm = table.flag("is_layer_norm", false);
  model.has_bias = table.flag("has_bias", false);
  model.has_lm_head_bias = table.flag("has_lm_head_bias", false);
  read_published(table, model);
  auto layouts = table.tables("published_layout");
  if (layouts.size() > 1) table.refuse("published_layout", "at most one");
  if (!layouts.empty()) model.published_layout = read_layout(layouts.front());
  table.finish();
  return model;
}

const std::vector<Model>& models() {
  static const std::vector<Model> all = [] {
    std::vector<Model> parsed;
    for (const Embedded& file : embedded_models()) parsed.push_back(parse_model(file.text, std::string(file.name)));
    std::sort(parsed.begin(), parsed.end(), [](const Model& a, const Model& b) { return a.id < b.id; });
    return parsed;
  }();
  return all;
}

const Model* find_model(const std::vector<Model>& models, std::string_view name) {
  const auto is_named = [&](std::string_view candidate) { return equal_ignoring_case(candidate, name); };
  const auto found = std::find_if(models.begin(), models.end(), [&](const Model& model) {
    return is_named(model.id) || is_named(model.name) ||
           std::any_of(model.aliases.begin(), model.aliases.end(), is_named);
  });
  return found == models.end() ? nullptr : &*found;
}

}  // namespace traincost::catalog
