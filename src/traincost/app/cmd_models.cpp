#include <traincost/app/command.hpp>
#include <traincost/app/fields.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::app {
namespace {

using catalog::Model;
using report::Cell;
using units::kGiga;

std::string_view name(catalog::AttentionKind kind) {
  switch (kind) {
    case catalog::AttentionKind::mha:
      return "MHA";
    case catalog::AttentionKind::gqa:
      return "GQA";
    case catalog::AttentionKind::mla:
      return "MLA";
  }
  return "";
}

template <auto Member>
Cell number(const Model& model) {
  return model.*Member;
}
template <auto Member>
Cell known(const Model& model) {
  return report::cell(model.*Member);
}
template <auto Member>
Cell positive(const Model& model) {
  return model.*Member > 0 ? Cell{model.*Member} : Cell{};
}
Cell attention(const Model& model) { return std::string(name(model.attention)); }

Cell total(const Model& model) { return catalog::total_params(model); }
Cell active(const Model& model) { return catalog::active_params(model); }
// What the published figure counts differs: embeddings, prediction modules, a vision encoder.
Cell total_as_published(const Model& model) {
  return model.published_params ? Cell{catalog::total_params_as_published(model)} : Cell{};
}
Cell active_as_published(const Model& model) {
  return model.published_active_params ? Cell{catalog::active_params_as_published(model)} : Cell{};
}

const Field<Model> kListed[] = {
    {{"id", "model"}, [](const Model& m) { return Cell{m.id}; }},
    {{"attention", "attention"}, attention},
    {{"layers", "layers"}, number<&Model::layers>},
    {{"hidden", "hidden"}, number<&Model::hidden>},
    {{"num_experts", "experts"}, positive<&Model::num_experts>},
    {{"topk", "top-k"}, positive<&Model::topk>},
    {{"total_params", "params B", kGiga, 2}, total},
    {{"total_params_as_published", "as counted B", kGiga, 2}, total_as_published},
    {{"published_params", "published B", kGiga, 2}, known<&Model::published_params>},
    {{"active_params_as_published", "active B", kGiga, 2}, active_as_published},
    {{"published_active_params", "published B", kGiga, 2}, known<&Model::published_active_params>},
    {{"published_tokens", "tokens T", 1e12, 2}, known<&Model::published_tokens>},
};

const Field<Model> kDetails[] = {
    {{"id", "id"}, [](const Model& m) { return Cell{m.id}; }},
    {{"name", "name"}, [](const Model& m) { return Cell{m.name}; }},
    {{"layers", "layers"}, number<&Model::layers>},
    {{"hidden", "hidden"}, number<&Model::hidden>},
    {{"vocab", "vocabulary"}, number<&Model::vocab>},
    {{"seq_len", "sequence length"}, number<&Model::seq_len>},
    {{"attention", "attention"}, attention},
    {{"heads", "query heads"}, number<&Model::heads>},
    {{"kv_heads", "key and value heads"}, number<&Model::kv_heads>},
    {{"head_dim", "head dimension, query and key"}, number<&Model::head_dim>},
    {{"v_head_dim", "head dimension, value"}, number<&Model::v_head_dim>},
    {{"q_lora_rank", "query compression rank"}, positive<&Model::q_lora_rank>},
    {{"kv_lora_rank", "key-value compression rank"}, positive<&Model::kv_lora_rank>},
    {{"ffn", "feed-forward width"}, number<&Model::ffn>},
    {{"num_experts", "routed experts"}, positive<&Model::num_experts>},
    {{"topk", "experts per token"}, positive<&Model::topk>},
    {{"shared_experts", "shared experts"}, positive<&Model::shared_experts>},
    {{"expert_ffn", "expert width"}, positive<&Model::expert_ffn>},
    {{"dense_layers", "first layers without experts"}, positive<&Model::dense_layers>},
    {{"num_groups", "expert groups"}, positive<&Model::num_groups>},
    {{"topk_groups", "groups per token"}, positive<&Model::topk_groups>},
    {{"mtp_layers", "multi-token-prediction modules"}, positive<&Model::mtp_layers>},
    {{"total_params", "parameters, B", kGiga, 3}, total},
    {{"total_params_as_published", "counted as the publisher counts, B", kGiga, 3}, total_as_published},
    {{"published_params", "published, B", kGiga, 3}, known<&Model::published_params>},
    {{"active_params", "active parameters, B", kGiga, 3}, active},
    {{"active_params_as_published", "counted as the publisher counts, B", kGiga, 3}, active_as_published},
    {{"published_active_params", "published, B", kGiga, 3}, known<&Model::published_active_params>},
    {{"published_tokens", "training tokens, T", 1e12, 3}, known<&Model::published_tokens>},
    {{"confirmed", "confirmed"}, [](const Model& m) { return Cell{m.confirmed}; }},
    {{"source", "source"}, [](const Model& m) { return Cell{m.source}; }},
    {{"notes", "notes"}, [](const Model& m) { return Cell{m.notes}; }},
};

struct Options {
  std::string model, model_file;
  report::Format format = report::Format::table;
};

std::string run(const Options& options) {
  if (!options.model_file.empty())
    return report::render_record(
        table_of<Model>(kDetails,
                        {catalog::parse_model(catalog::read_text_file(options.model_file), options.model_file)}),
        options.format);
  if (!options.model.empty())
    return report::render_record(table_of<Model>(kDetails, {model_named(options.model)}), options.format);
  return report::render(table_of(kListed, catalog::models()), options.format);
}

}  // namespace

void add_models(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "models", "The models of the catalogue: parameters computed from the shape beside those published",
      "  traincost models\n"
      "  traincost models --model deepseek-v3\n"
      "  traincost models --format json");
  auto* model = command->add_option("--model", options->model, "one model by id or alias, all its fields");
  command->add_option("--model-file", options->model_file, "check and show a model of your own, a TOML file")
      ->excludes(model);
  add_format(*command, options->format);
  command->callback([options] { print(run(*options)); });
}

}  // namespace traincost::app
