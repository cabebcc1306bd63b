#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include <traincost/catalog/embedded.hpp>
#include <traincost/catalog/model.hpp>
#include <traincost/units/error.hpp>
#include <traincost/work/dtype.hpp>

namespace traincost::catalog {
namespace {

constexpr double kTolerance = 0.005;  // of the published figure, or half a unit of its last printed digit

void expect_published(double computed, double published, double resolution, const std::string& what) {
  EXPECT_NEAR(computed, published, std::max(kTolerance * published, resolution / 2)) << what;
}

// Active parameters that the source cut off instead of rounding: 2.45 printed as 2.4, 3.35 as 3.3.
const std::set<std::string> kCutOff = {"deepseek-v2-lite", "qwen3-30b-a3b"};

// The source prints no figure for it, or only a family name that its own shape contradicts.
const std::set<std::string> kWithoutFigure = {"megatron-gpt2-8b"};

const Model& named(const std::string& name) {
  const Model* model = find_model(models(), name);
  if (model == nullptr) throw std::runtime_error("no model " + name);
  return *model;
}

TEST(Models, CatalogueHasTheWellKnown) {
  EXPECT_GE(models().size(), 80u);
  for (const char* name :
       {"deepseek-v3", "deepseek-v2", "deepseek-67b", "mixtral-8x7b", "mixtral-8x22b", "dbrx", "kimi-k2",
        "qwen3-30b-a3b", "qwen3-235b-a22b", "gpt-3-175b", "llama-3.1-405b", "bloom-176b"}) {
    EXPECT_NE(find_model(models(), name), nullptr) << name;
  }
}

TEST(Models, TotalParametersAreThePublishedOnes) {
  for (const Model& model : models()) {
    ASSERT_EQ(model.published_params.has_value(), !kWithoutFigure.contains(model.id)) << model.id;
    ASSERT_EQ(model.published_params.has_value(), model.published_params_resolution.has_value()) << model.id;
    if (!model.published_params) continue;
    expect_published(total_params_as_published(model), model.published_params.value_or(0),
                     model.published_params_resolution.value_or(0), model.id);
  }
}

TEST(Models, ActiveParametersAreThePublishedOnes) {
  for (const Model& model : models()) {
    if (!is_moe(model)) EXPECT_DOUBLE_EQ(active_params(model), total_params(model)) << model.id;
    ASSERT_EQ(model.published_active_params.has_value(), is_moe(model)) << model.id;
    ASSERT_EQ(model.published_active_params.has_value(), model.published_active_params_resolution.has_value())
        << model.id;
    if (!model.published_active_params || kCutOff.contains(model.id)) continue;
    expect_published(active_params_as_published(model), model.published_active_params.value_or(0),
                     model.published_active_params_resolution.value_or(0), model.id);
  }
}

TEST(Models, CutOffFiguresAreCutOff) {
  for (const std::string& id : kCutOff) {
    const Model& model = named(id);
    const double unit = model.published_active_params_resolution.value_or(0);
    EXPECT_DOUBLE_EQ(std::floor(active_params_as_published(model) / unit),
                     std::round(model.published_active_params.value_or(0) / unit))
        << id;
    EXPECT_GT(active_params_as_published(model), model.published_active_params.value_or(0) + unit / 2)
        << id << ": rounds well now";
  }
}

// A made-up resolution would let any shape pass: it is a power of ten, and the figure a whole number of it.
void expect_printed(std::optional<double> published, std::optional<double> resolution, const std::string& id) {
  if (!published) return;
  const double power = std::log10(resolution.value_or(0));
  EXPECT_NEAR(power, std::round(power), 1e-9) << id;
  const double digits = published.value_or(0) / resolution.value_or(0);
  EXPECT_GE(digits, 1) << id;
  EXPECT_NEAR(digits, std::round(digits), 1e-6) << id;
}

TEST(Models, ResolutionIsOneUnitOfAPrintedDigit) {
  for (const Model& model : models()) {
    expect_printed(model.published_params, model.published_params_resolution, model.id);
    expect_printed(model.published_active_params, model.published_active_params_resolution, model.id);
  }
}

TEST(Models, EveryFileIsNamedAfterItsIdAndNamesAreUnique) {
  std::set<std::string> files;
  for (const Embedded& file : embedded_models()) files.insert(std::string(file.name));
  std::map<std::string, std::string> owner;
  for (const Model& model : models()) {
    EXPECT_TRUE(files.contains(model.id + ".toml")) << model.id;
    std::vector<std::string> names = model.aliases;
    names.push_back(model.id);
    names.push_back(model.name);
    for (std::string& name : names) {
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    }
    for (const std::string& name : std::set<std::string>(names.begin(), names.end())) {
      EXPECT_TRUE(owner.emplace(name, model.id).second) << name << ": " << model.id << " and " << owner[name];
    }
  }
  EXPECT_EQ(files.size(), models().size());
}

TEST(Models, EveryModelHasASource) {
  for (const Model& model : models()) {
    EXPECT_GT(model.source.size(), 10u) << model.id;
    EXPECT_FALSE(model.confirmed.empty()) << model.id;
    if (model.published_layout) EXPECT_GT(model.published_layout->source.size(), 10u) << model.id;
  }
}

TEST(Models, LayoutsFitTheirModels) {
  for (const Model& model : models()) {
    if (!model.published_layout) continue;
    const PublishedLayout& layout = *model.published_layout;
    if (!layout.dtype.empty()) EXPECT_TRUE(work::parse_dtype(layout.dtype)) << model.id;
    if (layout.gpus && layout.tensor_par && layout.pipeline_par) {
      EXPECT_DOUBLE_EQ(std::fmod(*layout.gpus, *layout.tensor_par * *layout.pipeline_par), 0) << model.id;
    }
    if (layout.expert_par && *layout.expert_par > 1) {
      EXPECT_DOUBLE_EQ(std::fmod(model.num_experts, *layout.expert_par), 0) << model.id;
    }
    if (layout.tokens && model.published_tokens) EXPECT_LE(*layout.tokens, *model.published_tokens) << model.id;
  }
}

TEST(Models, DeepSeekV3InNumbers) {
  const Model& model = named("DeepSeek-V3");
  EXPECT_EQ(moe_layers(model), 58);
  // arXiv 2412.19437 and the repository's README_WEIGHTS.md: 11.5B unique to the prediction module, rounded there.
  EXPECT_NEAR(mtp_params(model), 11.5e9, 0.15e9);
  const PublishedLayout layout = model.published_layout.value_or(PublishedLayout{});
  EXPECT_EQ(layout.gpus, 2048);
  EXPECT_EQ(layout.pipeline_par, 16);
  EXPECT_EQ(layout.expert_par, 64);
  EXPECT_EQ(layout.schedule, "dual_pipe");
  EXPECT_EQ(layout.global_batch, 15360);
}

// Exact counts of published checkpoints, to the parameter.
TEST(Models, CheckpointCountsToTheParameter) {
  EXPECT_EQ(total_params(named("llama-2-7b")), 6738415616);
  EXPECT_EQ(total_params(named("llama-3-8b")), 8030261248);
  EXPECT_EQ(total_params(named("llama-3.1-405b")), 405853388800);
  EXPECT_EQ(total_params(named("mistral-7b")), 7241732096);
  EXPECT_EQ(total_params(named("mixtral-8x7b")), 46702792704);
  EXPECT_EQ(total_params(named("qwen2.5-7b")), 7615616512);
  EXPECT_EQ(total_params(named("qwen3-8b")), 8190735360);
}

TEST(FindModel, IgnoresCaseAndKnowsAliases) {
  EXPECT_EQ(find_model(models(), "LLAMA-3.1-405B")->id, "llama-3.1-405b");
  EXPECT_EQ(find_model(models(), "GPT3-175B")->id, "gpt-3-175b");
  EXPECT_EQ(find_model(models(), "gpt-5"), nullptr);
}

const std::string kSmall = R"(id = "small"
name = "Small"
layers = 2
hidden = 8
vocab = 100
seq_len = 16
attention = "gqa"
heads = 4
kv_heads = 2
head_dim = 2
ffn = 16
source = "arithmetic"
confirmed = "yes"
)";

std::string edited(const std::string& from, const std::string& to) {
  std::string text = kSmall;
  text.replace(text.find(from), from.size(), to);
  return text;
}

std::string refusal(const std::string& toml) {
  try {
    parse_model(toml, "small.toml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

void expect_refused(const std::string& toml, const std::string& word) {
  const std::string line = refusal(toml);
  EXPECT_NE(line.find("small.toml"), std::string::npos) << line;
  EXPECT_NE(line.find(word), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

TEST(ParseModel, CountsByHand) {
  const Model model = parse_model(kSmall, "small.toml");
  // A layer: q 64, k and v 32 each, output 64, three matrices of 128, two norms of 8; then norm, table, head.
  EXPECT_DOUBLE_EQ(total_params(model), 2 * (64 + 2 * 32 + 64 + 3 * 128 + 16) + 8 + 2 * 800);
}

TEST(ParseModel, RefusesInOneLine) {
  expect_refused(kSmall + "layres = 3\n", "layres");
  expect_refused(kSmall + "num_groups = 3\n", "num_groups");  // of a dense model
  expect_refused(edited("source = \"arithmetic\"\n", ""), "source");
  expect_refused(edited("source = \"arithmetic\"", "source = \"\""), "source");
  expect_refused(edited("hidden = 8\n", ""), "hidden");
  expect_refused(edited("hidden = 8", "hidden = nan"), "hidden");
  expect_refused(edited("hidden = 8", "hidden = inf"), "hidden");
  expect_refused(edited("hidden = 8", "hidden = -8"), "hidden");
  expect_refused(edited("hidden = 8", "hidden = \"8\""), "hidden");
  expect_refused(edited("layers = 2", "layers = 2.5"), "layers");
  expect_refused(edited("kv_heads = 2", "kv_heads = 3"), "kv_heads");
  expect_refused(edited("\"gqa\"", "\"gqb\""), "attention");
  expect_refused(kSmall + "num_experts = 4\ntopk = 8\nexpert_ffn = 16\n", "topk");
  expect_refused(kSmall + "num_experts = 4\n", "topk");
  expect_refused(kSmall + "[[published_layout]]\ngpus = 8\n", "source");
  expect_refused(kSmall + "[[published_layout]]\nsource = \"x\"\ngpus = -8\n", "gpus");
  expect_refused(kSmall + "[[published_layout]]\nsource = \"x\"\nschedule = \"gpipe\"\n", "schedule");
  expect_refused(kSmall + "[[published_layout]]\nsource = \"x\"\ngpu = 8\n", "gpu");
  expect_refused("id = \"small", "not valid TOML");
}

}  // namespace
}  // namespace traincost::catalog
