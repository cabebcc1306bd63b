// The tables under results/published: they parse, every row has its own id and a source, and every model they name is
// in the catalogue or left out for a stated reason.
#include <array>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include <traincost/catalog/model.hpp>
#include <traincost/measure/csv.hpp>

namespace traincost::measure {
namespace {

const std::string kFolder = std::string(TRAINCOST_SOURCE_DIR) + "/results/published/";

CsvTable published(const std::string& name) { return read_csv(kFolder + name); }

std::string text(const CsvTable& table, std::size_t row, const std::string& name) {
  const auto at = column(table, name);
  if (!at) throw std::runtime_error(table.origin + ": no column " + name);
  return table.rows[row][*at];
}

struct Table {
  const char *name, *id, *source, *value;
  std::size_t rows;
};
constexpr std::array kTables = {
    Table{"runs.csv", "id", "source", "reported_value", 473},
    Table{"runs_not_scored.csv", "id", "source", "reported_value", 74},
    Table{"vtrain_single.csv", "id", "source", "reported_value", 404},
    Table{"kernels.csv", "id", "source_path", "value", 1502},
    Table{"deepseek_v3_trace.csv", "", "source", "total_ms", 50},
    Table{"deepseek_v3_step.csv", "part", "source", "seconds", 7},
    Table{"memory_b200.csv", "case", "source", "peak_allocated_GiB", 28},
};

TEST(Published, EveryRowHasAnIdASourceAndAFigure) {
  for (const Table& wanted : kTables) {
    const CsvTable table = published(wanted.name);
    EXPECT_EQ(table.rows.size(), wanted.rows) << wanted.name;
    const std::string id = wanted.id;
    std::set<std::string> ids;
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      if (!id.empty())
        EXPECT_TRUE(ids.insert(text(table, row, id)).second) << wanted.name << ": " << text(table, row, id);
      EXPECT_FALSE(text(table, row, wanted.source).empty()) << wanted.name << ": row " << row;
      EXPECT_GT(parse_number(text(table, row, wanted.value)).value_or(-1), 0) << wanted.name << ": row " << row;
    }
  }
}

TEST(Published, RemarksStayBehind) {
  for (const Table& wanted : kTables) {
    const CsvTable table = published(wanted.name);
    for (const char* name : {"notes", "note", "unknowable", "mfu_bf16_est", "flop_convention", "weight", "split"}) {
      EXPECT_FALSE(column(table, name)) << wanted.name << ": " << name;
    }
  }
}

TEST(Published, PartsOfTheDeepSeekV3StepAddUp) {
  const CsvTable table = published("deepseek_v3_step.csv");
  double parts = 0, step = 0;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const double seconds = parse_number(text(table, row, "seconds")).value_or(0);
    (text(table, row, "part") == "step" ? step : parts) += seconds;
  }
  EXPECT_NEAR(parts, step, 6 * 0.005) << "six parts, each rounded to 0.01 s";
}

// Shapes of benchmark grids that no publisher names; `validate` builds them from their rows, as it builds all.
const std::map<std::string, std::string> kLeftOut = {
    {"GPT-h1024-l12", "vTrain grid"},
    {"GPT-h1024-l16", "vTrain grid"},
    {"GPT-h1024-l24", "vTrain grid"},
    {"GPT-h2048-l12", "vTrain grid"},
    {"GPT-h2048-l16", "vTrain grid"},
    {"GPT-h2048-l24", "vTrain grid"},
    {"GPT h1024 l12", "vTrain grid"},
    {"GPT h1024 l16", "vTrain grid"},
    {"GPT h1024 l24", "vTrain grid"},
    {"GPT h2048 l12", "vTrain grid"},
    {"GPT h2048 l16", "vTrain grid"},
    {"GPT h2048 l24", "vTrain grid"},
    {"Megatron-GPT-1.7B-h100", "Megatron-Core scaling grid, no printed size"},
    {"Megatron-GPT-7.1B-h100", "Megatron-Core scaling grid, no printed size"},
    {"Megatron-GPT-32B-h100", "Megatron-Core scaling grid, no printed size"},
    {"Megatron-GPT-70B-h100", "Megatron-Core scaling grid, no printed size"},
    {"Megatron-GPT-119B-h100", "Megatron-Core scaling grid, no printed size"},
    {"Megatron-GPT-177B-h100", "Megatron-Core scaling grid, no printed size"},
    {"BLOOM-like-176B", "a candidate shape tried before BLOOM: 64 heads, BLOOM has 112"},
    {"BLOOM-like-18B", "a candidate shape tried before BLOOM"},
    {"BLOOM-like-181B", "a candidate shape tried before BLOOM"},
    {"BLOOM-like-182B", "a candidate shape tried before BLOOM"},
    {"BLOOM-like-187B", "a candidate shape tried before BLOOM"},
    {"BLOOM-like-196B", "a candidate shape tried before BLOOM"},
    {"DeepSeek-V2 (truncated to 4 layers)", "benchmark cut of a model in the catalogue"},
    {"DeepSeek-V3 (truncated to 4 layers)", "benchmark cut of a model in the catalogue"},
    {"Llama-3-70B (truncated to 12 layers)", "benchmark cut of a model in the catalogue"},
    {"Llama-3.1-405B (truncated to 4 layers)", "benchmark cut of a model in the catalogue"},
    {"GPT2-18B-V100", "layers and width not published"},
    {"GPT2-39B-V100", "layers and width not published"},
    {"GPT2-52B-V100", "layers and width not published"},
};

TEST(Published, EveryNamedModelIsInTheCatalogue) {
  std::set<std::string> met;
  for (const char* name : {"runs.csv", "runs_not_scored.csv", "vtrain_single.csv"}) {
    const CsvTable table = published(name);
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      const std::string model = text(table, row, "model");
      const bool is_known = catalog::find_model(catalog::models(), model) != nullptr;
      EXPECT_NE(is_known, kLeftOut.contains(model)) << name << ": " << model;
      met.insert(model);
    }
  }
  for (const auto& [model, reason] : kLeftOut) EXPECT_TRUE(met.contains(model)) << model << " (" << reason << ")";
}

}  // namespace
}  // namespace traincost::measure
